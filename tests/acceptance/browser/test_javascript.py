"""The JavaScript's own tests and its format, under the Node of the virtual environment."""

import subprocess

import pytest

from rabta_deploy.officer import HOME, node_program

PRETTIER = HOME / "node_modules" / "prettier" / "bin" / "prettier.cjs"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--test", *sorted(str(file) for file in (HOME / "test").glob("*.test.mjs"))],
        [str(PRETTIER), "--check", "."],
    ],
    ids=["tests", "format"],
)
def test_the_javascript_is_right(arguments: list[str]) -> None:
    ran = subprocess.run(
        [node_program(), *arguments], cwd=HOME, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
