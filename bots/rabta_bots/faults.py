"""Says what is wrong with what an operator wrote: every fault at once, with place and cure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a settings document or of a file that it names.

    Args:
        path: Where, dotted as in the document (`eoffice.url`), or the file's path.
        message: What is wrong, in a sentence. Never a secret.
        cure: What to do about it.
    """

    path: str
    message: str
    cure: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message} Cure: {self.cure}"


class SettingsError(Exception):
    """The operator's documents have faults; the process does not start with them."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults
