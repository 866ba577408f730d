"""`pubsub-diag mcp`: the reading commands for agents."""

from __future__ import annotations

from diagnostics.cli.frame.options import Access, spread


@spread(Access)
def mcp(asked: Access) -> int:
    """Serve the reading commands to an agent, by the Model Context Protocol over standard input and output.

    Tools: diagnose_batch, list_batches, delivery, lint, health, runbook, postmortem; the runbooks as resources. It only reads: no probe,
    no calls of the services. Which pipeline, and as whom, is said here and cannot be said by the caller.
    """
    import importlib.util
    from dataclasses import asdict

    from diagnostics.cli.frame.options import Asked
    from diagnostics.cli.frame.trouble import Trouble

    if importlib.util.find_spec("mcp") is None:
        raise Trouble("serving agents needs the library mcp", "pip install 'pubsub-diag[mcp]'")
    from diagnostics.cli.do.agents import server

    return server.serve(Asked(**{**asdict(asked), "quiet": True}))
