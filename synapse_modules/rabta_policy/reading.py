"""Text to plain values, strictly: no duplicate keys, aliases or floats; `no` is a word."""

import json
import re
from contextlib import suppress
from typing import Any

import yaml

from rabta_policy.faults import Fault, PolicyError

Path = tuple[str | int, ...]
Plain = dict[str, Any]

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,15})", re.ASCII)
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_MAX_DEPTH = 40


def spell(path: Path) -> str:
    """Write a path as people do: `organisations[3].server.name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class _Walk:
    """One walk over a YAML tree; gathers faults and the line of every path."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.lines: dict[Path, int] = {}
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines[path] = line
        if id(node) in self._seen:
            self._fault(path, line, "repeats another part by an alias.")
            return None
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node.value, plain=node.style in (None, ""))
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*path, at)) for at, child in enumerate(node.value)]
        return None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> Plain:
        found: Plain = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(path, line, "has a key that is not a word.")
                continue
            if key in found:
                self._fault((*path, key), line, "is written twice.", "Keep one of the two.")
                continue
            found[key] = self.value(value_node, (*path, key))
        return found

    def _fault(self, path: Path, line: int, message: str, cure: str = "Write it out.") -> None:
        self.faults.append(Fault(spell(path), message, cure, line))


def _scalar(text: str, *, plain: bool) -> str | int | bool | None:
    # Only unquoted words are anything but text; `yes`, `no`, `on`, dates and floats stay text.
    if plain and text in _WORDS:
        return _WORDS[text]
    return int(text) if plain and _INTEGER.fullmatch(text) else text


def _measure(text: str) -> None:
    # PyYAML's C composer recurses without a limit; a deep text would end the process.
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise ValueError


def read_yaml(text: str) -> tuple[Plain, dict[Path, int]]:
    """Read YAML (JSON is YAML) into plain values.

    Returns:
        The mapping, and the line of every path in it.

    Raises:
        PolicyError: `policy-malformed`, with every duplicate key and alias.
    """
    try:
        _measure(text)
        node = yaml.compose(text, Loader=_LOADER)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be read, or nests too deep"
        line = mark.line + 1 if mark is not None else None
        fault = Fault("", f"is not YAML: {problem}.", "Mend the text at that line.", line)
        raise PolicyError([fault]) from None
    walk = _Walk()
    found = walk.value(node, ()) if node is not None else None
    if not isinstance(found, dict):
        walk.faults.append(Fault("", "is not a mapping of keys.", "Begin with `network: ...`.", 1))
    if walk.faults or not isinstance(found, dict):
        raise PolicyError(walk.faults)
    return found, walk.lines


# The C parser where PyYAML carries it: ten times as fast, same tree.
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def read_text(text: str) -> tuple[Plain, dict[Path, int]]:
    """Read a document in YAML or JSON; lines are known for YAML alone.

    Raises:
        PolicyError: `policy-malformed`.
    """
    if text.lstrip().startswith("{"):
        with suppress(PolicyError, UnicodeEncodeError):
            return read_json(text.encode("utf-8")), {}
        # As YAML its faults are told with their lines.
    return read_yaml(text)


def _once(pairs: list[tuple[str, Any]]) -> Plain:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is written twice")
    return found


def _no_float(text: str) -> Any:
    raise ValueError(f"numbers are whole, not {text}")


def read_json(raw: bytes) -> Plain:
    """Read a JSON object strictly: UTF-8, no duplicate keys, no floats, no NaN.

    Raises:
        PolicyError: `policy-malformed`.
    """
    try:
        found = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_once,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
    except (ValueError, RecursionError) as error:
        fault = Fault("", f"is not strict JSON: {error}.", "Fetch the signed file again.")
        raise PolicyError([fault]) from None
    if not isinstance(found, dict):
        raise PolicyError([Fault("", "is not a JSON object.", "Fetch the signed file again.")])
    return found
