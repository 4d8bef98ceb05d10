"""What the bridge's log names: devices, rooms and reasons, and no officer."""

import ast
from pathlib import Path

import pytest

import rabta_bots

ROOT = Path(rabta_bots.__path__[0])
NAMES = {"user", "user_id", "sender", "officer", "person", "person_id", "matrix_user", "holder"}
OWN = {"self._user_id", "self._chat.user_id"}
"""The bridge's own account."""


def named(source: str) -> list[str]:
    """What lines of the log are given that names a person."""
    return [
        f"{node.lineno}: {keyword.arg}={ast.unparse(keyword.value)}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) in {"log", "_log"}
        for keyword in node.keywords
        if keyword.arg in NAMES and ast.unparse(keyword.value) not in OWN
    ]


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda file: file.name)
def test_no_line_of_the_log_is_given_a_person(file: Path) -> None:
    assert named(file.read_text(encoding="utf-8")) == []


def test_a_line_that_is_given_a_person_is_found() -> None:
    assert named("_log.info('x', room_id=r)\n_log.info('x', user_id=user)") == ["2: user_id=user"]
