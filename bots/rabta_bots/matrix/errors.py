"""The one error of the Matrix room: it says whether to try again, and why in one stable word."""

from datetime import timedelta


class MatrixError(Exception):
    """A Matrix operation that did not happen.

    Args:
        reason: Stable kebab-case code (`docs/reference/bridge-crypto.md` lists them all).
        detail: One line for an operator. Holds no message content and no secret.
        permanent: True when a repeat can not succeed until a person or a setting changes something.
        retry_after: The least time to wait before a repeat, when the homeserver named one.
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        *,
        permanent: bool,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.permanent = permanent
        self.retry_after = retry_after
