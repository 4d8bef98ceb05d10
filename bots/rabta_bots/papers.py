"""Names the paper that a stored event belongs to. Pure."""

from collections.abc import Mapping
from typing import Any


def paper_of(document: Mapping[str, Any]) -> str | None:
    """The paper, `file/<id>` or `receipt/<id>`, or None when the event is about none.

    Args:
        document: As `stripping.stored_form` gives it.
    """
    if set(document) == {"paper"}:
        return str(document["paper"])
    data = document.get("data", {})
    for part in ("file", "draft"):
        if part in data:
            return f"file/{data[part]['file_id']}"
    return f"receipt/{data['receipt']['receipt_id']}" if "receipt" in data else None
