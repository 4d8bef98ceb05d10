"""Turns steps of a document, and charges of the mapping, into events of the contract. Pure."""

import hashlib
import re
from datetime import datetime
from typing import Any

from rabta_bots.mayan.mapping import Mapping, MayanCharge, Meaning
from rabta_bots.mayan.workflow import Paper, Step
from rabta_contract.event import Event
from rabta_contract.parsing import event_of
from rabta_contract.vocabulary import DecisionOutcome, EventType, Purpose

# What the contract takes at most, in characters.
_LONGEST_NUMBER, _LONGEST_TEXT = 128, 2000

_MOVING = {
    Meaning.PUT_UP: (EventType.FILE_MARKED, Purpose.PUT_UP),
    Meaning.FORWARD: (EventType.FILE_MARKED, Purpose.FORWARD),
    Meaning.RETURN: (EventType.FILE_RETURNED, Purpose.RETURN),
}
_DECIDING = {
    Meaning.APPROVE: DecisionOutcome.APPROVED,
    Meaning.NOT_APPROVE: DecisionOutcome.NOT_APPROVED,
}
_ENDING = {
    Meaning.PULL_BACK: EventType.FILE_PULLED_BACK,
    Meaning.CLOSE: EventType.FILE_CLOSED,
}


def file_id_of(org: str, document: int) -> str:
    """The contract's id of a document's file."""
    return f"{org}-MAYAN-{document}"


def document_of(file_id: str) -> int | None:
    """The document of a file id, or None for a file that is not Mayan's."""
    found = re.fullmatch(r"[A-Z0-9]{2,8}-MAYAN-([1-9][0-9]{0,9})", file_id)
    return int(found.group(1)) if found else None


def is_told(mapping: Mapping, step: Step) -> bool:
    """Whether the mapping knows the transition and both states, so that an event can be made."""
    transition = step.transition
    return transition.label in mapping.transitions and all(
        state.label in mapping.states
        for state in (transition.origin_state, transition.destination_state)
    )


def event_of_step(
    mapping: Mapping, paper: Paper, step: Step, *, source: str, sequence: int, pages: str
) -> Event:
    """The event of a step; the same step, label and number give the same event.

    Args:
        mapping: Knows the step (`is_told`).
        paper: The document.
        step: One of its steps.
        source: CloudEvents source.
        sequence: The number that the ledger gave it.
        pages: Base URL of Mayan's pages, for the link.
    """
    org = source.rpartition("/")[2]
    meaning = mapping.transitions[step.transition.label]
    sender = mapping.post(mapping.states[step.transition.origin_state.label])
    receiver = mapping.post(mapping.states[step.transition.destination_state.label])
    remarks = (step.entry.comment or "")[:_LONGEST_TEXT]
    said = {"remarks": remarks} if remarks and mapping.classification.carries_content else {}
    data: dict[str, Any] = {
        "file": _file(mapping, paper, step, org),
        "links": [{"rel": "open", "href": f"{pages}/#/documents/documents/{paper.document}/"}],
    }
    if meaning in _MOVING:
        kind, purpose = _MOVING[meaning]
        data["movement"] = {
            "from": sender.model_dump(exclude_none=True),
            "to": [receiver.model_dump(exclude_none=True)],
            "purpose": purpose.value,
            "movement_no": step.number,
            **said,
        }
    elif meaning in _DECIDING:
        kind = EventType.DECISION_RECORDED
        outcome = _DECIDING[meaning].value
        data["decision"] = {"outcome": outcome, "note_para": step.number, **said}
    else:
        kind = _ENDING[meaning]
    actor: dict[str, Any] = {"post": sender.model_dump(exclude_none=True)}
    person = mapping.person_of_user(step.entry.user.id if step.entry.user else None)
    if person is not None:
        actor["person_id"] = person
    return _event(
        mapping,
        kind,
        {"actor": actor} | data,
        event_id=f"mayan-{step.entry.id}",
        subject=f"file/{data['file']['file_id']}",
        source=source,
        sequence=sequence,
        time=step.entry.datetime,
    )


def event_of_charge(
    mapping: Mapping, charge: MayanCharge, *, ended: bool, source: str, sequence: int
) -> Event:
    """A person takes or leaves charge of a post, as the mapping says."""
    post = mapping.post(charge.post).model_dump(exclude_none=True)
    told: dict[str, Any] = {
        "post": post,
        "person_id": charge.person,
        "kind": charge.kind.value,
        "from": charge.from_.isoformat(),
    }
    if ended and charge.until is not None:
        told["until"] = charge.until.isoformat()
    kind = EventType.CHARGE_RELINQUISHED if ended else EventType.CHARGE_ASSUMED
    return _event(
        mapping,
        kind,
        {"actor": {"post": post}, "charge": told},
        event_id=f"mayan-{charge_key(charge, ended=ended)}",
        subject=f"post/{charge.post}",
        source=source,
        sequence=sequence,
        time=charge.until if ended and charge.until is not None else charge.from_,
    )


def charge_key(charge: MayanCharge, *, ended: bool) -> str:
    """Under which key the ledger has a charge's beginning or end."""
    digest = hashlib.sha256(charge.key.encode()).hexdigest()[:32]
    return f"charge-{digest}-{'ended' if ended else 'began'}"


def _file(mapping: Mapping, paper: Paper, step: Step, org: str) -> dict[str, Any]:
    number, _, subject = paper.label.partition(mapping.separator)
    file: dict[str, Any] = {
        "file_id": file_id_of(org, paper.document),
        "file_no": number.strip()[:_LONGEST_NUMBER] or str(paper.document),
        "owner_org": org,
        "note_para": step.number,
    }
    if subject.strip() and mapping.classification.carries_content:
        file["subject"] = subject.strip()[:_LONGEST_TEXT]
    return file


def _event(
    mapping: Mapping,
    kind: EventType,
    data: dict[str, Any],
    *,
    event_id: str,
    subject: str,
    source: str,
    sequence: int,
    time: datetime,
) -> Event:
    return event_of(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": source,
            "type": kind.value,
            "subject": subject,
            "time": time.isoformat(),
            "datacontenttype": "application/json",
            "sequence": f"{sequence:018d}",
            "data": {
                "classification": mapping.classification.value,
                "priority": mapping.priority.value,
                **data,
            },
        }
    )
