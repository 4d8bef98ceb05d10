"""Takes a received event apart: what was said, to which card, in what kind of letter. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rabta_bots.cards.content import POLL_RESPONSE
from rabta_bots.commands.grammar import Misread, Said, parse, spoken
from rabta_bots.matrix import Received

# Marks that clients put on a message they pass on (MSC2723 and its stable name).
FORWARD_MARKS = ("m.forwarded", "org.matrix.msc2723.forwarded")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a received event says.

    Args:
        said: The command, or why it is none.
        targets: Messages it refers to, the nearest first; from the decrypted content only.
        edited: Whether it replaces an earlier message.
        forwarded: Whether it is marked as passed on.
        mentions: The users whom it speaks to (spec 11.39, a client adds whom a reply answers).
    """

    said: Said | Misread
    targets: tuple[str, ...]
    edited: bool
    forwarded: bool
    mentions: frozenset[str] = frozenset()


def read(received: Received) -> Reading | None:
    """What the event says; None for what is never a command (a reaction, a picture, a notice)."""
    content = received.content
    relates = content.get("m.relates_to")
    relates = relates if isinstance(relates, Mapping) else {}
    if received.type == POLL_RESPONSE:
        words = _poll_answer(content)
    elif received.type == "m.room.message" and content.get("msgtype") == "m.text":
        # The body of an edit is only a fallback, with a star before it (spec 11.9).
        new = content.get("m.new_content")
        body = (new if isinstance(new, Mapping) else content).get("body")
        words = spoken(body, reply="m.in_reply_to" in relates) if isinstance(body, str) else None
    else:
        words = None
    if words is None:
        return None
    return Reading(
        parse(words),
        _targets(received.type, relates),
        edited=relates.get("rel_type") == "m.replace" or "m.new_content" in content,
        forwarded=any(mark in content for mark in FORWARD_MARKS),
        mentions=_mentions(content.get("m.mentions")),
    )


def _mentions(given: object) -> frozenset[str]:
    users = given.get("user_ids") if isinstance(given, Mapping) else None
    named = users if isinstance(users, list) else []
    return frozenset(user for user in named if isinstance(user, str))


def _poll_answer(content: Mapping[str, Any]) -> str | None:
    response = content.get(POLL_RESPONSE)
    answers = response.get("answers") if isinstance(response, Mapping) else None
    if isinstance(answers, list) and len(answers) == 1 and isinstance(answers[0], str):
        return answers[0]
    return None


def _targets(event_type: str, relates: Mapping[str, Any]) -> tuple[str, ...]:
    reply = relates.get("m.in_reply_to")
    nearest = reply.get("event_id") if isinstance(reply, Mapping) else None
    related = relates.get("event_id")
    wanted = event_type == POLL_RESPONSE or relates.get("rel_type") == "m.thread"
    named = (nearest, related if wanted else None)
    return tuple(target for target in named if isinstance(target, str))
