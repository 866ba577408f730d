"""The pull-mode probe: looks at the messages that wait in a subscription, acknowledges none, and leaves nothing behind.

A source of evidence that needs consent, because it writes. The order of reading: `plan` (what will be done, what it costs,
what forbids it), `run` (the whole of it, whatever ends it), `snapshot` and `switch` (the two modes), `peek` (the pulls),
`journal`, `log_entry` and `watchdog` (who remembers), `restore` (who puts back), `traces` (what is left anywhere).
"""
