"""A made-up pipeline whose worker is a function behind an Eventarc trigger: a script publishes the scanned pages of a job, and each run
of the function reads one and counts it in the job's Firestore document. The one that counts the last marks it complete.

There is no coordinator and nothing comes back by Pub/Sub; the document tells how a job stands.
"""
