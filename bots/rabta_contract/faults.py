"""What is wrong with a message, told all at once, each fault with its JSON path."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong: `path` is a JSON pointer ("" is the whole), `message` holds no content.

    Messages name the rule that was broken, never the value that broke it: they reach logs
    and answers, where no subject may appear.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path or '/'}: {self.message}"


class ContractError(Exception):
    """A message is not of the contract. `reason` is the stable code, `faults` all that is wrong."""

    def __init__(self, reason: str, faults: Iterable[Fault]) -> None:
        self.reason = reason
        self.faults = tuple(faults)
        super().__init__(reason, self.faults)

    @property
    def detail(self) -> str:
        """One line for the answer's body: the first fault and how many more there are."""
        if not self.faults:
            return self.reason
        more = len(self.faults) - 1
        return str(self.faults[0]) + (f" (and {more} more)" if more else "")

    def __str__(self) -> str:
        return f"{self.reason}: " + "; ".join(str(fault) for fault in self.faults)
