"""Names that nobody would choose: what a shell, a program's options, Markdown or a terminal would take for more than a name."""

from __future__ import annotations

from hypothesis import strategies as st

TELLTALE = "Zq7"
"""In every drawn name, so that a part of it is known again wherever it turns up."""

PIECES = (
    "$(touch${IFS}PWN)", "$(>PWN)", "`touch PWN`", "`>PWN`", ";>PWN;", ";touch PWN;", "|touch PWN", "||touch PWN", "&& touch PWN", "&",
    ">PWN", ">>PWN", "<PWN", "2>PWN", "<(touch PWN)", "${HOME}", "$HOME", "$'\\n'", "$((1))", "*", "?", "[a-z]", "{a,b}", "~", "~root",
    "!", "!!", "!-1", "!x", "#", " # ", " #", "'", '"', "''", '"\'"', "\\", "\\'", "\\\\", "^a^b", "%", "%0A", "%{x}", "{batch}",
    "{project}", "=", "=ls",
    " ", " x ", " -- ", " --items", " --leg x", "--flags-file=PWN", "-rf", "-", "--", "+x", "@x", ":", ",", "|", "\\|", "``", "```", "<b>",
    "</code>", "&amp;", "&#124;", "](http://x)", "::error::", "é", "日本", "🦄", "ﬁ", "a\u0301",
)  # fmt: skip
UNTYPEABLE = (
    "\n",
    "\r\n",
    "\t",
    "\x00",
    "\x07",
    "\x1b[2J",
    "\x1b]0;x\x07",
    "\x7f",
    "\x9b",
    "\u200b",
    "\u202e",
    "\u2028",
    "\ufeff",
    "\u00a0",
    "  ",
)
"""Pieces that no terminal shows as they are."""


def _joined(parts: list[str]) -> str:
    return "".join(parts)


def hostile(without: str = "") -> st.SearchStrategy[str]:
    """A name that can be typed: hostile pieces and letters around the telltale. `without`: characters that it cannot hold."""
    pieces = st.one_of(
        st.sampled_from([p for p in PIECES if not set(p) & set(without)]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=without), max_size=4),
    )
    return st.tuples(st.lists(pieces, max_size=3), st.lists(pieces, max_size=3)).map(
        lambda both: " ".join((_joined(both[0]) + TELLTALE + _joined(both[1])).split())
    )


def untypeable() -> st.SearchStrategy[str]:
    """A name with something in it that cannot be typed."""
    return st.tuples(hostile(), st.sampled_from(UNTYPEABLE), hostile()).map(_joined)  # type: ignore[arg-type]
