"""Every fault of Google's APIs, on every command: in time, with the promised exit code, and saying no more than was seen."""
