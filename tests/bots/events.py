"""Builders of e-Office events; each names only what its test is about."""

import itertools
from datetime import datetime, timedelta
from typing import Any

from ministry import NOW

from rabta_contract import Event
from rabta_contract.parsing import event_of
from rabta_contract.vocabulary import EventType

POSTS: dict[str, dict[str, Any]] = {
    "ITT-SO-ADMN2": {
        "post_id": "ITT-SO-ADMN2",
        "designation": "Section Officer (Admn-II)",
        "designation_ur": "سیکشن افسر (انتظامیہ-۲)",
        "org": "ITT",
        "section": "Admn-II",
    },
    "ITT-DS-ADMN": {
        "post_id": "ITT-DS-ADMN",
        "designation": "Deputy Secretary (Admn)",
        "designation_ur": "ڈپٹی سیکرٹری (انتظامیہ)",
        "org": "ITT",
        "section": "Admn-II",
        "reports_to": "ITT-JS",
    },
    "ITT-JS": {"post_id": "ITT-JS", "designation": "Joint Secretary", "org": "ITT"},
    "FIN-DS-BUDGET": {
        "post_id": "FIN-DS-BUDGET",
        "designation": "Deputy Secretary (Budget)",
        "org": "FIN",
    },
}

# The parts that an event of an aggregate carries.
PARTS = {
    "receipt": ("receipt",),
    "file": ("file",),
    "note": ("file",),
    "decision": ("file", "decision"),
    "draft": ("file", "draft"),
    "dispatch": ("file", "dispatch"),
    "reference": ("file", "deadline"),
    "deadline": ("file", "deadline"),
    "reminder": ("file",),
    "source": ("source",),
}
# Types that name the post they are for by a movement.
ADDRESSED = {
    EventType.RECEIPT_MARKED,
    EventType.FILE_MARKED,
    EventType.FILE_RETURNED,
    EventType.FILE_REFERRED,
    EventType.FILE_BROUGHT_UP,
    EventType.DRAFT_SUBMITTED,
    EventType.REFERENCE_SENT,
    EventType.REMINDER_SENT,
}
SUBMITTING = ADDRESSED - {EventType.FILE_BROUGHT_UP}


class Telling:
    """One source that tells events in its sequence."""

    def __init__(self, source: str = "/eoffice/ITT", start: int = 1) -> None:
        self._source = source
        self._sequence = itertools.count(start)
        self._ids = itertools.count(1)

    def document(self, kind: str, subject: str, time: datetime, **data: Any) -> dict[str, Any]:
        """An event as a JSON document."""
        return {
            "specversion": "1.0",
            "id": f"01EVENT{next(self._ids):06d}",
            "source": self._source,
            "type": f"eoffice.{kind}.v1",
            "subject": subject,
            "time": time.isoformat(),
            "datacontenttype": "application/json",
            "sequence": f"{next(self._sequence):018d}",
            "data": {
                "actor": {"post": POSTS["ITT-SO-ADMN2"], "charge": "regular"},
                "classification": "RESTRICTED",
                "priority": "IMMEDIATE",
            }
            | data,
        }

    def charge(
        self,
        post_id: str,
        person_id: str,
        kind: str = "regular",
        *,
        ended: bool = False,
        time: datetime = NOW,
        **further: Any,
    ) -> Event:
        """Somebody takes or leaves charge of a post."""
        charge = {
            "post": POSTS[post_id],
            "person_id": person_id,
            "kind": kind,
            "from": (NOW - timedelta(days=30)).isoformat(),
        }
        verb = "relinquished" if ended else "assumed"
        return event_of(
            self.document(
                f"charge.{verb}",
                f"post/{post_id}",
                time,
                classification="UNCLASSIFIED",
                charge=charge | further,
            )
        )

    def marked(
        self,
        to: str | tuple[str, ...] = "ITT-DS-ADMN",
        *,
        movement_no: int = 12,
        kind: str = "file.marked",
        purpose: str = "put_up",
        grade: str = "RESTRICTED",
        file_id: str = "ITT-2026-004512",
        subject: str | None = "Procurement of networking equipment",
        remarks: str | None = "Submitted for approval of para 7/N, please.",
        sender: str = "ITT-SO-ADMN2",
        time: datetime = NOW,
        **further: Any,
    ) -> Event:
        """A file comes to a post."""
        return event_of(
            self.marked_document(
                to,
                movement_no=movement_no,
                kind=kind,
                purpose=purpose,
                grade=grade,
                file_id=file_id,
                subject=subject,
                remarks=remarks,
                sender=sender,
                time=time,
                **further,
            )
        )

    def marked_document(
        self,
        to: str | tuple[str, ...],
        *,
        movement_no: int,
        kind: str,
        purpose: str,
        grade: str,
        file_id: str,
        subject: str | None,
        remarks: str | None,
        sender: str,
        time: datetime,
        **further: Any,
    ) -> dict[str, Any]:
        """The same as a JSON document."""
        targets = (to,) if isinstance(to, str) else to
        file = {
            "file_id": file_id,
            "file_no": "F.No.1(5)/2026-Admn-II",
            "owner_org": "ITT",
            "note_para": 7,
        }
        movement: dict[str, Any] = {
            "from": POSTS[sender],
            "to": [POSTS[target] for target in targets],
            "purpose": purpose,
            "movement_no": movement_no,
        }
        if subject is not None:
            file["subject"] = subject
        if remarks is not None:
            movement["remarks"] = remarks
        data: dict[str, Any] = {
            "actor": {"post": POSTS[sender], "charge": "regular"},
            "classification": grade,
            "file": file,
            "movement": movement,
            "deadline": {"kind": "disposal", "due": "2026-07-15T16:00:00+05:00"},
            "links": [{"rel": "open", "href": f"https://eoffice.itt.gov.test/f/{file_id}"}],
        }
        data |= further
        told = {name: part for name, part in data.items() if part is not None}
        return self.document(kind, f"file/{file_id}", time, **told)

    def of_type(
        self,
        kind: EventType,
        *,
        grade: str = "RESTRICTED",
        file_id: str = "ITT-2026-004512",
        number: str = "F.No.1(5)/2026-Admn-II",
        words: str = "Zafarwal",
        **further: Any,
    ) -> Event:
        """One of the type, as full as its grade lets it be; `words` stand in all that may hide.

        The file is with ITT-DS-ADMN, to whom ITT-SO-ADMN2 put it up; ITT-DS-ADMN acts.
        """
        content = grade not in {"SECRET", "TOP_SECRET"}
        aggregate, verb = kind.value.split(".")[1:3]
        if aggregate == "charge":
            return self.charge("ITT-JS", "p-3", ended=verb == "relinquished")
        own = aggregate in {"receipt", "draft", "dispatch", "reference", "source"}
        subject = f"{aggregate if own else 'file'}/{file_id}"
        parts = self._parts(file_id, number, words, content=content)
        data = {name: parts[name] for name in PARTS[aggregate] if name in parts}
        if kind in ADDRESSED and "movement" not in data:
            data["movement"] = parts["movement"]
        sender = "ITT-SO-ADMN2" if kind in SUBMITTING else "ITT-DS-ADMN"
        data |= {"actor": {"post": POSTS[sender], "charge": "regular"}, "classification": grade}
        return event_of(self.document(f"{aggregate}.{verb}", subject, NOW, **(data | further)))

    def _parts(
        self, file_id: str, number: str, words: str, *, content: bool
    ) -> dict[str, dict[str, Any]]:
        """The parts of an event about a file; `words` in each field that a class may forbid."""
        # The schema refuses these three at SECRET and above.
        hidden = {"subject": f"{words} scheme"} if content else {}
        remarks = {"remarks": f"{words} remarks"} if content else {}
        return {
            "file": {
                "file_id": file_id,
                "file_no": number,
                "owner_org": "ITT",
                "note_para": 8,
                "part": "II",
                "volume": "3",
                "linked": ["ITT-2025-003310"],
                "record_category": "B",
                "puc": f"{words} letter",
            }
            | hidden,
            "receipt": {
                "receipt_id": f"R-{file_id}",
                "diary_no": "845",
                "diary_date": "2026-07-14",
                "file_id": file_id,
                "sender": f"{words} Limited",
                "sender_ref": f"{words}/7",
            }
            | hidden,
            "draft": {
                "draft_id": f"D-{file_id}",
                "file_id": file_id,
                "version": 2,
                "addressees": [f"{words} Board"],
            },
            "dispatch": {
                "dispatch_id": f"P-{file_id}",
                "dispatch_no": "D.No.12/2026",
                "form": "letter",
                "addressees": [f"{words} Board"],
            },
            "movement": {
                "from": POSTS["ITT-SO-ADMN2"],
                "to": [POSTS["ITT-DS-ADMN"]],
                "purpose": "put_up",
                "movement_no": 12,
            }
            | remarks,
            "decision": {"outcome": "approved", "note_para": 8} | remarks,
            "deadline": {
                "kind": "disposal",
                "due": "2026-07-15T16:00:00+05:00",
                "escalate_to": POSTS["ITT-JS"],
            },
            "source": {"last_sequence": "7", "missing_from": "3", "missing_to": "5"},
        }

    def notice(self, to: str = "ITT-DS-ADMN") -> Event:
        """A SECRET file comes to a post."""
        return self.marked(to, grade="SECRET", subject=None, remarks=None)

    def decided(
        self,
        outcome: str = "approved",
        *,
        by: str = "ITT-DS-ADMN",
        file_id: str = "ITT-2026-004512",
        time: datetime = NOW,
        **further: Any,
    ) -> Event:
        """A post decides on a file in e-Office."""
        data: dict[str, Any] = {
            "actor": {"post": POSTS[by], "charge": "regular"},
            "file": {
                "file_id": file_id,
                "file_no": "F.No.1(5)/2026-Admn-II",
                "owner_org": "ITT",
                "note_para": 8,
            },
            "decision": {"outcome": outcome, "note_para": 8},
        }
        return event_of(
            self.document("decision.recorded", f"file/{file_id}", time, **(data | further))
        )
