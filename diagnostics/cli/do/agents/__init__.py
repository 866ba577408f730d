"""The reading commands for agents, by the Model Context Protocol.

tools.py      what each does, and the JSON Schema of what it takes and gives
untrusted.py  how text that came from the pipeline is handed over
server.py     the protocol, over standard input and output
"""
