"""A fault of the yard, said in words a person can act on; it never carries a traceback."""


class YardError(Exception):
    """Something outside our code stops the yard: a port, a tool, a process, a network.

    Attributes:
        reason: Stable kebab-case code, the same in output, docs and tests.
        cure: What the reader can do about it, one sentence.
    """

    def __init__(self, reason: str, text: str, cure: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.text} [{self.reason}] Cure: {self.cure}"
