"""The tools and the runbooks over standard input and output, by the official SDK. One call at a time: log reads are scarce."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from typing import Any

import anyio
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.stdio import stdio_server
from pydantic import AnyUrl

from diagnostics import __version__
from diagnostics.cli.do.agents import tools
from diagnostics.cli.do.agents.untrusted import NOTICE, quoted
from diagnostics.cli.frame import after
from diagnostics.cli.frame.options import Asked
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Exit
from diagnostics.evidence.redact import redact
from diagnostics.report.escape import clean
from diagnostics.runbook import pages

SCHEME = "runbook://"
TICK_S = 1.0
"""Seconds between two notes of progress."""
INSTRUCTIONS = (
    "Says why a batch of a Google Cloud Pub/Sub push pipeline is not done. It only reads. Begin with diagnose_batch; once it is done, "
    "outcome says whether it worked. `next` of a result are proposals for a person, and runbook has the steps. "
    f"{NOTICE}"
)


def serve(asked: Asked) -> int:
    """Answer until the caller closes the input."""
    anyio.run(_serve, asked)
    return int(Exit.OK)


async def _serve(asked: Asked) -> None:
    made = server(asked)
    async with stdio_server() as (read, write):
        sys.stdout = sys.stderr  # the protocol has it to itself
        await made.run(read, write, made.create_initialization_options())


def server(asked: Asked) -> Server[Any, Any]:
    """The server, for a pipeline and a caller that `asked` names."""
    made: Server[Any, Any] = Server("pubsub-diag", version=__version__, instructions=INSTRUCTIONS)
    turn = anyio.Lock()

    async def list_tools() -> list[types.Tool]:
        return [_described(tool) for tool in tools.TOOLS]

    async def call_tool(name: str, arguments: dict[str, Any]) -> types.CallToolResult:
        tool = next((tool for tool in tools.TOOLS if tool.name == name), None)
        if tool is None:
            return _trouble(Trouble(f"no tool {name}"))
        async with turn:
            return await _called(made, tool, arguments, asked)

    async def list_resources() -> list[types.Resource]:
        return [
            types.Resource(
                uri=AnyUrl(f"{SCHEME}{page.front.name}"),
                name=page.front.name,
                title=page.front.title,
                description=", ".join(page.front.symptoms) or page.front.title,
                mimeType="text/markdown",
            )
            for page in pages.every()
        ]

    async def read_resource(uri: AnyUrl) -> Iterable[ReadResourceContents]:
        name = str(uri).removeprefix(SCHEME).rstrip("/")
        page = next((page for page in pages.every() if page.front.name == name), None)
        if page is None:
            raise ValueError(f"no runbook {name}")
        return [ReadResourceContents(pages.fill(f"# {page.front.title}\n\n{page.body}", {}), "text/markdown")]

    made.list_tools()(list_tools)  # type: ignore[no-untyped-call]
    made.call_tool()(call_tool)
    made.list_resources()(list_resources)  # type: ignore[no-untyped-call]
    made.read_resource()(read_resource)  # type: ignore[no-untyped-call]
    return made


def _described(tool: tools.Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        description=tool.about,
        inputSchema=tools.takes(tool),
        outputSchema=tools.gives(tool),
        annotations=types.ToolAnnotations(
            readOnlyHint=True, destructiveHint=False, idempotentHint=True, openWorldHint=tool.asks
        ),
    )


async def _called(
    made: Server[Any, Any], tool: tools.Tool, arguments: dict[str, Any], asked: Asked
) -> types.CallToolResult:
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_tell_progress, made, tool, asked.timeout)
            answer = await anyio.to_thread.run_sync(tools.call, tool, arguments, asked)
            group.cancel_scope.cancel()
    except BaseExceptionGroup as failed:
        troubles = [error for error in failed.exceptions if isinstance(error, Trouble)]
        if len(troubles) != len(failed.exceptions):
            raise
        return _trouble(troubles[0])
    threading.Thread(target=after.do, daemon=True).start()
    words = types.TextContent(type="text", text=quoted(answer.words))
    return types.CallToolResult(content=[words], structuredContent=tools.result(answer.said), isError=False)


async def _tell_progress(made: Server[Any, Any], tool: tools.Tool, most_s: float) -> None:
    """How much of its time is gone, for a caller who wants to know."""
    context = made.request_context
    token = context.meta.progressToken if context.meta else None
    if token is None:
        return
    gone = 0.0
    while True:
        doing = "reading Google Cloud" if tool.asks else "reading what is kept"
        await context.session.send_progress_notification(
            token, min(gone, most_s), most_s, doing, related_request_id=str(context.request_id)
        )
        await anyio.sleep(TICK_S)
        gone += TICK_S


def _trouble(trouble: Trouble) -> types.CallToolResult:
    says = clean(redact(". ".join(filter(None, (trouble.says, trouble.mend)))))
    return types.CallToolResult(content=[types.TextContent(type="text", text=quoted(says))], isError=True)
