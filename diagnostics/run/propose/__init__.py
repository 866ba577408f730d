"""Propose log markers for a pipeline that nobody has described: recent lines of both services, grouped, and what each group may mean.

sample.py     the lines, from Cloud Logging
groups.py     lines that differ in names and numbers alone, as one template
names.py      which part of a line names the batch, which one the item
meanings.py   what a group of lines may mean, by its words and by what it names
proposals.py  markers, each tried on all lines that were sampled
toml.py       how they stand in a profile
"""
