"""Why records cannot be read, kept or exported: a stable reason and a sentence."""


class RecordsError(Exception):
    """Something is not as it should be.

    Attributes:
        reason: Stable code (docs/reference/records.md).
        text: A sentence.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{text} [{reason}]")
        self.reason = reason
        self.text = text
