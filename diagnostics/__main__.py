"""`python -m diagnostics`: the same as `pubsub-diag`, for where its folder of programs is on no path."""

from diagnostics.cli.main import main

main()
