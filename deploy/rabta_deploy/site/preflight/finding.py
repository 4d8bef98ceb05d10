"""What a look at a site found."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is: an error keeps the site from being put in force."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found.

    Attributes:
        code: Stable, kebab-case; docs/reference/preflight.md has its heading.
        severity: How bad it is.
        place: A key of `site.yaml`, a file, or a part.
        says: What is the matter; never a secret.
        cure: What to do about it.
    """

    code: str
    severity: Severity
    place: str
    says: str
    cure: str
