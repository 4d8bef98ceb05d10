"""What `make install` brings and the yard needs: told by name when it is missing."""

from collections.abc import Mapping
from pathlib import Path

from rabta_deploy.fault import YardError
from rabta_deploy.officer import HOME, PAGE, node_program

NEEDED: Mapping[str, Path] = {
    "Node": node_program(),
    "the npm packages of the officer's client": HOME / "node_modules",
    "the officer's page": PAGE / "index.html",
}


class ToolMissingError(YardError):
    """Something is not installed."""


def require_tools(needed: Mapping[str, Path] = NEEDED) -> None:
    """Refuse when a part is missing, naming every one.

    Args:
        needed: What a person calls it -> where it lies.

    Raises:
        ToolMissingError: `tool-missing`.
    """
    missing = [f"{name} ({path})" for name, path in needed.items() if not path.exists()]
    if missing:
        raise ToolMissingError(
            "tool-missing",
            f"Not installed: {'; '.join(missing)}.",
            "run `make install`; it needs the PyPI and npm registries once",
        )
