"""An event with less in it: what a class does not allow is taken out before anything is stored."""

from typing import Any

from rabta_contract.event import Event

# Fields that say what a paper is about, and with whom: they go and stay with the subject.
_SUBJECT = {
    "file": ("subject", "puc"),
    "receipt": ("subject", "sender", "sender_ref"),
    "draft": ("addressees",),
    "dispatch": ("addressees",),
}
_REMARKS = {"movement": ("remarks",), "decision": ("remarks",)}


def redacted(event: Event, *, subject: bool, remarks: bool, attachments: bool) -> Event:
    """Give `event` without what is not allowed.

    Args:
        event: Any event of the contract.
        subject: Whether subjects, and who writes to whom about them, may stay.
        remarks: Whether remarks of movement and decision may stay.
        attachments: Whether documents may stay.

    Returns:
        The same event where everything is allowed. Otherwise unknown fields go as well:
        nobody can tell whether they repeat the subject. SECRET and above lose all content
        whatever is allowed, even where a source broke the schema.
    """
    content = event.data.classification.carries_content
    subject = subject and content
    remarks = remarks and content
    attachments = attachments and content
    if subject and remarks and attachments:
        return event
    known = _without_unknown(event)
    data = known.data
    changes: dict[str, Any] = {}
    withheld = ({} if subject else _SUBJECT) | ({} if remarks else _REMARKS)
    for part, fields in withheld.items():
        value = getattr(data, part)
        if value is not None:
            changes[part] = value.model_copy(update=dict.fromkeys(fields))
    if not attachments:
        changes["documents"] = None
    return known.model_copy(update={"data": data.model_copy(update=changes)})


def _without_unknown(event: Event) -> Event:
    """Rebuild the event with the contract's own fields alone, at every depth."""
    return Event.model_validate(_known(event))


def _known(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_known(item) for item in value)
    fields = getattr(type(value), "model_fields", None)
    if fields is None:
        return value
    return {name: _known(getattr(value, name)) for name in fields}
