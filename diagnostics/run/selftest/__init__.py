"""What Google answers here, by its shape: how the first real project tells where the lab and the code are wrong about Google.

Everything that the commands read is read once, and a little more, with a witness that looks at the answers as they arrive. It keeps
names of fields, constants, counts and times; no text that somebody chose outlives the moment in which it is looked at (`words`).
"""
