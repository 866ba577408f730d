"""Every command line that is printed is made here, so that whoever pastes it runs that command and nothing else.

A command is a template of our own words in which {name} stands for something that evidence, a profile or a caller named. Whatever that
holds, it is one argument, or a part of one, when a POSIX shell has read the line (bash and zsh read it alike):

* what a shell would read as more than letters is quoted; what needs no quoting stays as it is;
* what begins with a dash is given after `--`, or as `--option=value`, so that no program takes it for an option;
* what cannot be typed (control characters, line breaks, what has no width, runs of spaces) is left out: CAPITALS stand for it, and a
  comment says so.

What explains a command stands behind it as a comment: the shell reads past it.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

PROGRAMS = ("pubsub-diag", "gcloud", "bq", "curl", "pip", "export", "unset", "sudo")
"""First words of the commands that are printed; advice in prose begins with none of them."""
LONGEST = 1000
"""Letters of a name that is typed; Google's names and ids are shorter by far."""
LONGEST_LINE = 100_000
"""Letters of a command: more than any filter of a log may have."""
CANNOT_BE_TYPED = "cannot be typed here"

_HOLE = re.compile(r"\{([a-z_]+)\}")
_PLAIN = re.compile(r"[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+=:,./-]*")
"""What no shell reads as anything else. A word that begins with = is a command's path to zsh."""
_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"))
"""Unicode's categories of what a terminal obeys, does not show, or shows as something else."""
_CHAINING = (";", "|", "&")
_OPERATORS = frozenset(";|&<>()\n")
_RUNS = re.compile(r"[`!$;|&<>()\n]")
"""Where a shell may run or write something."""
_MEANS = re.compile(r"""[\\'"$()]""")
"""Letters by which quotes and substitutions begin and end."""
_TOKEN = re.compile(r"\$\(gcloud auth print-(?:access|identity)-token\)")
_VARIABLE = re.compile(r"\$[A-Z_][A-Z0-9_]*")
_LOOP = "for i in 1 2 3; do "
_NOTE = "   # "
_OR = "or: "


def command(template: str, **names: str) -> str:
    """The command, ready to be pasted. A name that is not given stays as CAPITALS; an empty one is left out."""
    wanted = {hole[1] for hole in _HOLE.finditer(template)}
    chained = any(sign in template for sign in _CHAINING)  # where `--` would not be at the end of its command
    out = {
        name: name.upper()
        for name, worth in names.items()
        if name in wanted and worth and (not typeable(worth) or (chained and worth.startswith("-")))
    }
    known = {**names, **out}
    words = [filled(raw, lambda name, _: known.get(name, name.upper())) for raw in _placed(template, known)]
    return noted(" ".join(word for word in words if word), *(f"{name} {CANNOT_BE_TYPED}" for name in out.values()))


def advice(template: str, **names: str) -> str:
    """A sentence that says what to do, perhaps with a command in it. Somebody may paste it whole: names in it are quoted, too."""
    return filled(template, lambda name, _: names[name] if typeable(names[name]) else name.upper())


def joined(words: Iterable[str]) -> str:
    """A command of somebody else's, all of whose words are names. Some may have been left out."""
    given = [*words]
    return " ".join(quote(word) if typeable(word) else "WORD" for word in given)


def noted(line: str, *notes: str) -> str:
    """The command with what explains it: words of ours, and `advice` where names are among them."""
    told = "; ".join(note for note in notes if note)
    if not told:
        return line
    said, before = parted(line)
    return f"{said}{_NOTE}{f'{before}; ' if before else ''}{told}"


def either(lines: Iterable[str]) -> str:
    """One line that offers all of these: the first is what runs when it is pasted."""
    first, *others = [*lines, ""]
    told = [f"{_OR}{other}" for other in others if other]
    return noted(first, *told) if is_command(first) else "; ".join((first, *told))


def quote(name: str) -> str:
    """The name as one word of a shell."""
    quoted = shlex.quote(name)
    return name if _PLAIN.fullmatch(name) else quoted if quoted != name else f"'{name}'"


def typeable(name: str, longest: int = LONGEST) -> bool:
    """Whether a name of so many letters at most can be shown, copied and pasted, and still be that name."""
    shown = all(letter == " " or unicodedata.category(letter) not in _INVISIBLE for letter in name)
    return shown and 0 < len(name) <= longest and name == name.strip(" ") and "  " not in name


def is_command(line: str) -> bool:
    """Whether it is a command rather than advice in prose."""
    return line.split(" ")[0] in PROGRAMS or line.startswith(_LOOP)


def is_quoted(before: str) -> bool:
    """Whether what follows stands in single quotes."""
    reading = Reading()
    reading.read(before)
    return reading.quotes == "'"


def is_whole(line: str) -> bool:
    """Whether every quotation mark in it has its partner."""
    reading = Reading()
    reading.read(line)
    return reading.is_open and not reading.escaped


def parted(line: str) -> tuple[str, str]:
    """A printed line as (the command, what explains it)."""
    reading, read = Reading(), 0
    for sign in re.finditer("(?<= )#", line):
        at = sign.start()
        reading.read(line[read:at])
        if reading.is_open:
            return line[:at].rstrip(), line[at + 1 :].strip()
        read = at
    return line, ""


def commands(line: str) -> list[str]:
    """The commands that a printed line offers, without what explains them; none where it is prose."""
    said, told = parted(line)
    others = [part.removeprefix(_OR) for part in told.split("; ") if part.startswith(_OR)]
    return [one for one in (said, *others) if is_command(one)]


def arguments(line: str) -> list[str]:
    """The words of a printed command as a program gets them. Raises ValueError for what no shell would read."""
    return shlex.split(parted(line)[0])


def raw_words(line: str) -> list[str]:
    """The line in parts that spaces separate and that may not be divided, as they are written."""
    reading, words = Reading(), [""]
    for letter in line:
        if letter == " " and reading.is_open and not reading.escaped:
            words.append("")
        else:
            words[-1] += letter
        reading.read(letter)
    return [word for word in words if word]


@lru_cache(maxsize=1024)
def is_harmless(line: str) -> bool:
    """Whether a line that was not made here is one command of a program that we name, without anything that a shell would run or write
    beside it; prose and queries without anything that a shell would run inside them."""
    if len(line) > LONGEST_LINE:
        return False
    said = parted(line)[0]
    looped = re.fullmatch(rf"{_LOOP}(curl .*); done", said)
    said = _TOKEN.sub("TOKEN", looped[1] if looped else said)
    if not is_command(said):
        return "$(" not in said and "`" not in said
    reading, read = Reading(), 0
    for sign in _RUNS.finditer(said):
        at, letter = sign.start(), sign[0]
        reading.read(said[read:at])
        read = at
        if reading.quotes != "'" and not reading.escaped:
            runs = letter in "`!" or (letter == "$" and not (reading.quotes and _VARIABLE.match(said, at)))
            if runs or (reading.is_open and letter in _OPERATORS):
                return False
    return is_whole(said)


# --- filling in -----------------------------------------------------------------------------------------------------------


class Reading:
    """How a shell reads a line, letter by letter: inside which quotes and substitutions it is."""

    def __init__(self) -> None:
        self._inside: list[str] = []
        self._last = ""
        self.escaped = False

    @property
    def quotes(self) -> str:
        """The quotation mark that is open where it is; empty where none is."""
        top = self._inside[-1] if self._inside else ""
        return top if top in ("'", '"') else ""

    @property
    def is_open(self) -> bool:
        """Whether spaces separate words here and operators count."""
        return not self._inside

    def read(self, text: str) -> None:
        at = 0
        while at < len(text):
            if not self.escaped:
                means = _MEANS.search(text, at)
                after = means.start() if means else len(text)
                if after > at:
                    self._last = text[after - 1]
                if means is None:
                    return
                at = after
            self._read(text[at])
            self._last = text[at]
            at += 1

    def _read(self, letter: str) -> None:
        top = self._inside[-1] if self._inside else ""
        if top == "'":
            if letter == "'":
                self._inside.pop()
        elif self.escaped:
            self.escaped = False
        elif letter == "\\":
            self.escaped = True
        elif (letter, top) in (('"', '"'), (")", "(")):
            self._inside.pop()
        elif letter == '"' or (letter == "'" and top != '"') or (letter == "(" and self._last == "$"):
            self._inside.append(letter)


def filled(template: str, value: Callable[[str, str], str], holes: re.Pattern[str] = _HOLE) -> str:
    """The template with `value(name, what stands before it)` in the place of each {name}, quoted as it has to be just there."""
    reading, made, at = Reading(), "", 0
    for hole in holes.finditer(template):
        before = template[at : hole.start()]
        reading.read(before)
        marks = reading.quotes
        worth = value(hole[1], template[: hole.start()])
        made += before + (worth if _PLAIN.fullmatch(worth) or not worth else f"{marks}{quote(worth)}{marks}")
        at = hole.end()
    return made + template[at:]


class _Word(NamedTuple):
    raw: str
    dashed: bool
    """It begins with a name that begins with a dash, and is no option."""


def _placed(template: str, names: Mapping[str, str]) -> Iterator[str]:
    """The words of the template in an order in which no name is taken for an option."""
    words = [_Word(raw, _is_dashed(raw, names)) for raw in raw_words(template)]
    late: list[str] = []
    for at, word in enumerate(words):
        if at + 1 < len(words) and words[at + 1].dashed and _takes_a_value(word.raw):
            yield f"{word.raw}={words[at + 1].raw}"
        elif word.dashed and at and not _takes_a_value(words[at - 1].raw):
            late.append(word.raw)
        elif not word.dashed:
            yield word.raw
    yield from ("--", *late) if late else ()


def _is_dashed(raw: str, names: Mapping[str, str]) -> bool:
    hole = _HOLE.match(raw)
    return hole is not None and names.get(hole[1], "").startswith("-")


def _takes_a_value(raw: str) -> bool:
    return raw.startswith("--") and len(raw) > 2 and "=" not in raw
