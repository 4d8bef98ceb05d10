"""A room's class in its topic, where people see it in any client: `[Restricted] Budget 2027`.

Pure. What decides is the label; the topic only says it.
"""

import re
from collections.abc import Mapping
from typing import Any

TOPIC = "m.room.topic"
_PREFIX = re.compile(r"^(?:\[(?:Unclassified|Restricted|Confidential)\]\s*)+")


def line(room_class: str, topic: str) -> str:
    """The topic with its class before it, whatever class it began with."""
    return f"[{room_class.capitalize()}] {_PREFIX.sub('', topic)}".rstrip()


def content(room_class: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Content of an `m.room.topic` that says the class, in each of its forms (MSC3765).

    Args:
        room_class: The class of the room.
        given: The content as it is, or nothing.
    """
    topic = given.get("topic")
    said = {**given, "topic": line(room_class, topic if isinstance(topic, str) else "")}
    rich = given.get("m.topic")
    forms = rich.get("m.text") if isinstance(rich, Mapping) else None
    if isinstance(rich, Mapping) and isinstance(forms, list | tuple):
        said["m.topic"] = {**rich, "m.text": [_form(room_class, form) for form in forms]}
    return said


def _form(room_class: str, form: object) -> object:
    if isinstance(form, Mapping) and isinstance(form.get("body"), str):
        return {**form, "body": line(room_class, form["body"])}
    return form
