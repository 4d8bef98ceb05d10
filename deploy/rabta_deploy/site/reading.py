"""Reads `site.yaml`: whole, or refused with every fault, its place and its cure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from rabta_deploy.fault import YardError
from rabta_deploy.site.description import Site


@dataclass(frozen=True, slots=True)
class SiteFault:
    """One fault of the document: where, what, and what to do about it."""

    path: str
    message: str
    cure: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}. Cure: {self.cure}."


class SiteError(YardError):
    """The document cannot be used; `faults` holds every reason."""

    def __init__(self, faults: Sequence[SiteFault]) -> None:
        super().__init__(
            "site-refused",
            "\n".join(str(fault) for fault in faults),
            "mend each line above; docs/reference/site.md tells every key",
        )
        self.faults = tuple(faults)


def parse(text: str) -> Site:
    """The site in a YAML document.

    Raises:
        SiteError: With every fault of the document.
    """
    try:
        document: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "document"
        fault = SiteFault(where, "is not YAML", "mend the indentation or the quotes there")
        raise SiteError([fault]) from error
    try:
        return Site.model_validate(document)
    except ValidationError as error:
        raise SiteError([_fault(detail) for detail in error.errors()]) from error


def load(file: Path) -> Site:
    """The site that a file describes.

    Raises:
        SiteError: It cannot be read, or has faults.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fault = SiteFault(
            str(file), "cannot be read", "write one with `rabta site init`, or name another file"
        )
        raise SiteError([fault]) from error
    return parse(text)


def site_schema() -> dict[str, Any]:
    """The schema in JSON Schema draft 2020-12, as `config/schema/site.schema.json` carries it."""
    schema = Site.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


_CURES = {
    "missing": "add the key; it has no default",
    "extra_forbidden": "remove the key, or mend its spelling",
}


def _fault(detail: Any) -> SiteFault:
    path = ".".join(str(step) for step in detail["loc"]) or "document"
    message = detail["msg"].removeprefix("Value error, ").rstrip(".")
    return SiteFault(path, message, _CURES.get(detail["type"], "see docs/reference/site.md"))
