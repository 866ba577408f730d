"""A made-up pipeline whose batches a task queue starts: suppliers drop images, and each image of a drop is scaled.

It works as the orders do, and its words are its own: one `msg` a line with groups of attributes beside it (`drop`, `image`, `task`), as
structured loggers of Go print them, other names in messages, documents and paths, and a counter for a list. What uploads a drop puts a
task into a Cloud Tasks queue, and the queue makes the start call; its first line says the how-manieth try of the task it is.
"""
