"""A made-up third pipeline, which no profile that comes along knows: a cycle of account statements, one rendered per account.

It works as the orders do. What it says is another language: sentences in `message` with what they are about in `ctx` beside it, no line
for each message that is sent, one line where the orders have two, other names in messages, documents and paths, and a counter for a list.
"""
