"""How far each item of the batch got, and how many of them each stage has seen. Built once, from evidence alone."""

from diagnostics.readings.ledger.attempts import Attempt
from diagnostics.readings.ledger.build import build
from diagnostics.readings.ledger.dead_letters import missed_most
from diagnostics.readings.ledger.ledger import Count, DeadLetters, Ledger, Life, Repeat
from diagnostics.readings.ledger.lives import named

__all__ = ["Attempt", "Count", "DeadLetters", "Ledger", "Life", "Repeat", "build", "missed_most", "named"]
