"""YAML that remembers where each value stood, so that an error can name its line."""

from __future__ import annotations

import re
from typing import Any

import yaml

Path = tuple[str | int, ...]


class ScenarioError(ValueError):
    """A scenario that cannot be used: names file, line, path and what was expected."""


DEEPEST = 50
"""Lists and mappings within each other: more than a scenario needs, and few enough to be read at once."""


class _Loader(yaml.SafeLoader):
    """Plain YAML: only true and false are booleans ("on" is a key here), and dates stay text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise yaml.composer.ComposerError(None, None, "it is nested too deeply", self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f'"{key.value}" is given twice', key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


class Document:
    """A parsed YAML document and the lines of its parts."""

    def __init__(self, text: str, where: str) -> None:
        self.where = where
        try:
            loader = _Loader(text)
        except yaml.reader.ReaderError as error:
            at = text.count("\n", 0, error.position) + 1
            raise ScenarioError(f"{where}:{at}: {error.reason}") from error
        try:
            self._root = loader.get_single_node()
            self.value: Any = loader.construct_document(self._root) if self._root else {}
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            raise ScenarioError(f"{where}{line}: {getattr(error, 'problem', None) or error}") from error
        except RecursionError as error:
            raise ScenarioError(f"{where}: it is nested too deeply") from error
        except (ValueError, TypeError) as error:  # a list as a key, a tag that the value does not fit
            raise ScenarioError(f"{where}: {error}") from error
        finally:
            loader.dispose()

    def error(self, error: Exception, base: Path = ()) -> ScenarioError:
        """A validation error of msgspec with its file and line."""
        says, _, at = str(error).partition(" - at `$")
        path = base + tuple(int(i) if i else name for name, i in re.findall(r"\.([^.\[\]`]+)|\[(\d+)\]", at))
        unknown = re.search(r"unknown field `(.+)`", says)
        return self.at((*path, unknown[1]) if unknown else path, says)

    def at(self, path: Path, says: str) -> ScenarioError:
        """An error at a path; the line is that of the deepest part of the path that is there."""
        shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        return ScenarioError(f"{self.where}:{self._line(path)}: {shown or 'document'}: {says}")

    def _line(self, path: Path) -> int:
        node, line = self._root, 1
        for part in path:
            if isinstance(node, yaml.MappingNode):
                pair = next((pair for pair in node.value if pair[0].value == part), None)
                if pair is None:
                    break
                line, node = pair[0].start_mark.line + 1, pair[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                break
        return line
