"""A card as the content of a Matrix event: plain body complete, 4 KiB at most. Pure.

Spec: m.room.message (client-server API 11.3), m.replace (11.9), polls MSC3381.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rabta_bots.cards.view import CardView
from rabta_bots.cards.wording import render, say
from rabta_bots.cards.words import N_, VERBS
from rabta_contract.vocabulary import CommandVerb

MAX_BYTES = 4096
# How much of subject and remarks is tried, until the message fits.
LIMITS = (2000, 1000, 500, 250, 120, 60, 0)
POLL_START = "org.matrix.msc3381.poll.start"
POLL_RESPONSE = "org.matrix.msc3381.poll.response"
TEXT = "org.matrix.msc1767.text"

# A poll answer carries no words, so only commands without any are offered.
POLLED = (CommandVerb.APPROVE, CommandVerb.SEEN, CommandVerb.DISCUSS, CommandVerb.ACKNOWLEDGE)


def card_message(card: CardView, language: str, mention: str | None) -> dict[str, Any]:
    """The card as `m.text`; it mentions the officer, because clients silence notices."""
    return {
        "msgtype": "m.text",
        "body": render(language, "card.txt.j2", card=card),
        "format": "org.matrix.custom.html",
        "formatted_body": render(language, "card.html.j2", card=card),
        "m.mentions": {"user_ids": [mention]} if mention else {},
    }


def line_message(lines: Sequence[tuple[CardView, str]], thread: str | None) -> dict[str, Any]:
    """A line in a thread, in one or two languages; it mentions nobody and makes no sound.

    Args:
        lines: The line with its language.
        thread: The thread's root (spec 11.10); None begins one.
    """
    content = {
        "msgtype": "m.notice",
        "body": _each("card.txt.j2", lines, "\n\n"),
        "format": "org.matrix.custom.html",
        "formatted_body": _each("card.html.j2", lines, "\n"),
        "m.mentions": {},
    }
    if thread is None:
        return content
    return content | {
        "m.relates_to": {
            "rel_type": "m.thread",
            "event_id": thread,
            "is_falling_back": True,
            "m.in_reply_to": {"event_id": thread},
        },
    }


def _each(template: str, lines: Sequence[tuple[CardView, str]], between: str) -> str:
    return between.join(render(language, template, card=card) for card, language in lines)


def fitting(
    make: Callable[[int], dict[str, Any]], limits: Sequence[int] = LIMITS
) -> dict[str, Any]:
    """The content that `make` gives for the largest of the limits that fits into `MAX_BYTES`.

    Args:
        make: The content with subject and remarks of so many characters at most.
        limits: What is tried, the largest first.
    """
    content: dict[str, Any] = {}
    for limit in limits:
        content = make(limit)
        if size_of(content) <= MAX_BYTES:
            break
    return content


def answer_message(text: str, *, reply_to: str | None, mention: str | None) -> dict[str, Any]:
    """A sentence of the bridge to an officer, as a reply to what it answers."""
    content: dict[str, Any] = {
        "msgtype": "m.text",
        "body": text,
        "m.mentions": {"user_ids": [mention]} if mention else {},
    }
    if reply_to:
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": reply_to}}
    return content


def edit_of(message_id: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """`content` as the replacement of an earlier message of ours; nobody is mentioned again."""
    silent = {**content, "m.mentions": {}}
    return {
        "msgtype": content["msgtype"],
        "body": f"* {content['body'].splitlines()[0]}",
        "m.mentions": {},
        "m.new_content": silent,
        "m.relates_to": {"rel_type": "m.replace", "event_id": message_id},
    }


def poll(number: str, verbs: Sequence[CommandVerb], language: str) -> dict[str, Any] | None:
    """A poll that offers the card's commands; None when it would have nothing to offer."""
    offered = [verb for verb in POLLED if verb in verbs]
    if not offered:
        return None
    question = say(language, N_("Your decision on {number}?"), number=number)
    answers = [{"id": verb.value, TEXT: say(language, VERBS[verb])} for verb in offered]
    listing = "\n".join(f"{place}. {answer[TEXT]}" for place, answer in enumerate(answers, 1))
    return {
        POLL_START: {
            "question": {TEXT: question, "body": question, "msgtype": "m.text"},
            "kind": "org.matrix.msc3381.poll.disclosed",
            "max_selections": 1,
            "answers": answers,
        },
        TEXT: f"{question}\n{listing}",
    }


def size_of(content: Mapping[str, Any]) -> int:
    """Bytes of the content as JSON in UTF-8."""
    return len(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
