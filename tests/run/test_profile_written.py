"""The profile that `init` writes: what others have named or answered stands in it as text, and never as settings."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostics.evidence.whole_text import whole
from diagnostics.pipeline.profile import LegProfile, PipelineProfile, ServiceProfile
from diagnostics.run.discover import Discovery, to_toml
from tests.shell.names import UNTYPEABLE, hostile

COMMAND = '\n[[batch_state]]\nkind = "command"\ncommand = ["sh", "-c", "id"]\n#'
BREAKS = ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029")
ODD = st.one_of(
    hostile(),
    st.text(max_size=12),
    st.sampled_from(
        (*UNTYPEABLE, *BREAKS, COMMAND, '"', '"""', "\\", "'''", "\\n", "\\u0041", "a\ud800b", "\U0001f984")
    ),
).map(lambda text: f"a{text}")


def written(name: str, sentence: str) -> str:
    profile = PipelineProfile(
        name=name,
        project=name,
        region=name,
        request=LegProfile(subscription=name, topic=name, topic_env=name, push_path=name, push_account=name),
        completion=LegProfile(subscription=name),
        worker=ServiceProfile(service=name, region=name, project=name),
    )
    return to_toml(Discovery(profile=profile, missing=(sentence, name)))


@settings(deadline=None)
@given(name=ODD, sentence=ODD)
def test_names_come_back_as_they_are_and_sentences_stay_comments(name: str, sentence: str) -> None:
    text = written(name, sentence)
    text.encode()
    read, n = tomllib.loads(text), whole(name)
    assert read == {
        "name": n,
        "project": n,
        "region": n,
        "item": "item",
        "request": {"subscription": n, "topic": n, "topic_env": n, "push_path": n, "push_account": n},
        "completion": {"subscription": n},
        "coordinator": {},
        "worker": {"service": n, "region": n, "project": n},
    }
    plain = written("a", "a")
    assert len(text.splitlines()) == len(plain.splitlines()), "nothing of it is a line of its own"


@pytest.mark.parametrize("end", BREAKS)
def test_no_line_break_of_a_sentence_begins_a_setting(end: str) -> None:
    text = written("a", f"the worker could not be read: gone{end}{COMMAND}")
    assert "batch_state" not in tomllib.loads(text)
    assert sum('command = ["sh"' in line and not line.startswith("#") for line in text.splitlines()) == 0


def test_nothing_in_it_steers_a_terminal() -> None:
    text = written("a\x1b[2Jb\u202e\u200b", "\x1b]0;x\x07 \u2066")
    assert not set("\x1b\x07\u202e\u200b\u2066") & set(text)
    assert "\\U0000001b" in text
