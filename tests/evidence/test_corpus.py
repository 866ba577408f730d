"""Planted secrets go, what only looks like one stays: both counted, over the corpus beside this file.

`python -m tests.evidence.test_corpus` prints both tables for more seeds.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from diagnostics.evidence.redact import redact
from diagnostics.evidence.redaction import cleaner
from diagnostics.evidence.secrets import known, named, people, shapes
from diagnostics.evidence.secrets.plain import plain
from tests.evidence.corpus.planted import Planted, leaks, planted
from tests.evidence.corpus.stays import stays
from tests.sampling import examples

SEEDS = (1, 2, 3)
MOST_S = 12.0
"""Of processor time for the longest text below; the slowest takes a quarter of a second where nothing else runs."""
LONG = 100_000


def missed(seed: int) -> list[Planted]:
    return [one for one in planted(seed) if leaks(one, redact(one.text))]


def changed(seed: int) -> list[tuple[str, str, str]]:
    return [(kind, text, cleaned) for kind, text in stays(seed) if (cleaned := redact(text)) != text]


def table(seed: int) -> str:
    """Both figures and every miss."""
    leaked, eaten, all_of = missed(seed), changed(seed), planted(seed)
    kinds, texts = len({one.kind for one in all_of}), stays(seed)
    lines = [
        f"seed {seed}: {len(leaked)} of {len(all_of)} planted secrets of {kinds} kinds are left; "
        f"{len(eaten)} of {len(texts)} texts of {len({k for k, _ in texts})} kinds that must stay are changed"
    ]
    lines += [f"  left     {one.kind:30} {one.text[:90]!r} → {redact(one.text)[:90]!r}" for one in leaked]
    lines += [f"  changed  {kind:30} {text[:90]!r} → {cleaned[:90]!r}" for kind, text, cleaned in eaten]
    return "\n".join(lines)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_planted_secret_is_left(seed: int) -> None:
    assert not missed(seed), table(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_must_stay_stays_byte_for_byte(seed: int) -> None:
    assert not changed(seed), table(seed)


def test_the_corpus_is_as_large_as_it_has_to_be() -> None:
    assert len(planted(1)) >= 150 and len({one.kind for one in planted(1)}) >= 40
    assert len(stays(1)) >= 150
    assert {len(one.parts) for one in planted(1)} >= {1, 2}


def test_a_leak_is_seen() -> None:
    """The judge of the tests above: a secret that is left, in part, or behind a veil, is one."""
    one = Planted("x", "token: abcdefgh12345", ("abcdefgh12345",))
    assert leaks(one, one.text) and leaks(one, "token: [redacted]gh12345") and leaks(one, "ａｂｃｄｅｆｇｈ")
    assert leaks(one, "\u200b".join("abcdefgh")) and not leaks(one, "token: [redacted]")


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_redacted_stays_as_it_is(seed: int) -> None:
    texts = [redact(one.text) for one in planted(seed)]
    assert [redact(text) for text in texts] == texts
    assert cleaner()(tuple(texts)) == tuple(texts)


def test_a_secret_within_what_must_stay_goes_alone() -> None:
    """Around a secret every byte is as it was, letters of other scripts and hidden ones, too."""
    for kind, text in stays(1):
        out = redact(f"{text}\nglpat-Zq3xV9bN2mK7pL4rT8wY\n{text}")
        assert out == f"{text}\n[redacted GitLab token]\n{text}", kind


def test_the_report_tells_the_kind() -> None:
    said = Counter(redact(text) for text in (
        "glpat-Zq3xV9bN2mK7pL4rT8wY", "DB_PASS=hunter2hunter2", "call +14155552671", "https://u:pw123456@h/x", "sid=Zq3xV9bN2mK7pL4rT8wY",
    ))  # fmt: skip
    assert set(said) == {
        "[redacted GitLab token]", "DB_PASS=[redacted password]", "call [redacted phone number]", "https://[redacted]@h/x",
        "sid=[redacted session]",
    }  # fmt: skip


@pytest.mark.parametrize("plugin", known.PLUGINS, ids=lambda plugin: plugin.kind)
def test_every_text_that_detect_secrets_finds_something_in_has_a_hint(plugin: known.Plugin) -> None:
    """Else the text would never be shown to it: a new version of the library with new prefixes fails here."""

    @given(st.data())
    @settings(max_examples=examples(20), deadline=None)
    def holds(data: st.DataObject) -> None:
        for pattern in known.patterns(plugin.name):
            text = data.draw(st.from_regex(pattern)).lower()
            assert any(hint.lower() in text for hint in plugin.hints)

    holds()


PIECES = (
    "key=", "a-a", "eyJ-", "sk-", "-----BEGIN PRIVATE KEY-----", "=", "password ", 'password="\\', "://", "https://a:b", "a@",
    "password<", "+1 ", "1 2 ", "x//", "password=[", " mysql -p", "A" * 40 + "\\n-----END PRIVATE KEY\n", "name: value: ",
    "PATH HOME=x ", "A", "acme_", "%41", "ｐ", "auth=('", "kind: secret\n a: ", "login ", " -u a:", " ", "a=,", "token=,a",
    "<password ", "xoxb-", "s.", "PuTTY-User-Key-File-2", "Alice A <a@b.co", "a@b.co (", "Cookie: a", '"name"="x",', "?a=b&", "415-",
    "aws key ", "AC", "0123456789:", "/", "\\u003d", "password for a ", 'token", "', "password: |\n  ", "\x1b[0m", "&amp;", "bearer ",
    "token: '", "a.b.", "-----END PRIVATE KEY", "password==", "secrets=a:1,password=a:1,", "login a:b1", "a:b1@", "[redacted] ",
    "person-", "Aa0", "api api key ", "identified by '",
    'password="a""', "connect(a/", "sqlplus a/", "password!=", "conn a/b@",
)  # fmt: skip


@pytest.mark.parametrize("piece", PIECES, ids=repr)
def test_a_long_text_takes_time_in_proportion(piece: str) -> None:
    began = time.process_time()
    redact((piece * LONG)[:LONG])
    assert time.process_time() - began < MOST_S


@given(st.text(max_size=120), st.text(max_size=40))
@settings(max_examples=examples(150), deadline=None)
def test_what_is_plain_knows_its_way_back(text: str, veil: str) -> None:
    read = plain(f"{text}%3D\u200b{veil}")
    for at in range(len(read.text)):
        start, end = read.original(at, at + 1)
        assert 0 <= start < end <= len(text) + 4 + len(veil)


_WORDS = st.sampled_from(
    ["password", "token=", ": ", "=", "'", '"', "\\", "\\\\\"", "{", "}", "[", "]", ",", "&", "?", " ", "\n", "is ", "Bearer ", "Cookie: ",
     "hunter2", "x", "Zq3xV9bN2mK7pL4rT8wYaa", "glpat-", "@example.com", "://", "-----BEGIN PRIVATE KEY-----", "%3D", "\u200b", "ｋ", "key",
     "[redacted password]", "[redacted", "<", ">", "|\n  ", "+1 415 555 2671", "-p", "name=", "value=", "Alice ", "mysql "]
)  # fmt: skip


@given(st.lists(_WORDS, max_size=14))
@example(["+1 415 555 2671"] * 9)
@settings(max_examples=examples(200), deadline=None)
def test_redacting_twice_changes_nothing(words: list[str]) -> None:
    once = redact("".join(words))
    assert redact(once) == once


def _count(find: Callable[[str], object]) -> int:
    return len(list(find("nothing here but words, 12 of 15 done")))  # type: ignore[call-overload]


def test_an_ordinary_line_has_nothing() -> None:
    assert [_count(f) for f in (shapes.find, named.find, people.find)] == [0, 0, 0]


if __name__ == "__main__":
    for seed in range(1, int(sys.argv[1]) + 1 if len(sys.argv) > 1 else 11):
        print(table(seed))
