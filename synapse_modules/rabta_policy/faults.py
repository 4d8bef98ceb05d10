"""What is wrong with a document: every fault with its path and its cure."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a document.

    Args:
        path: Where, as `organisations[3].server.name`; empty for the document as a whole.
        message: What is wrong, in words.
        cure: What to do about it.
        line: The line of the YAML text, counted from 1; None where it is not known.
    """

    path: str
    message: str
    cure: str
    line: int | None = None

    def __str__(self) -> str:
        """The fault on one line."""
        where = self.path or "the document"
        if self.line is not None:
            where = f"line {self.line}, {where}"
        return f"{where}: {self.message} {self.cure}".strip()


class PolicyError(Exception):
    """A policy, an authority or a signature that cannot be used. Trying again does not help.

    Attributes:
        reason: A stable code in kebab-case (docs/reference/reason-codes.md).
        faults: Every fault found, in the order of the document; at least one.
    """

    permanent = True

    def __init__(self, faults: Iterable[Fault], reason: str = "policy-malformed") -> None:
        self.reason = reason
        self.faults = tuple(faults)
        super().__init__(f"{reason}: " + "; ".join(map(str, self.faults)))


def refuse(reason: str, message: str, cure: str) -> PolicyError:
    """The error for a document refused as a whole, with one fault."""
    return PolicyError([Fault(path="", message=message, cure=cure)], reason)
