"""Papers of every register go from the real e-Office through the bridge; a recorder is Matrix."""

from typing import Any

import pytest
from ministry import Ministry
from office import Office, office
from recorder import Sent

from rabta_contract import ContractError, Deadline, Event, EventType, Grade, Purpose
from rabta_contract.event import Dispatch, Draft, Receipt
from rabta_contract.vocabulary import FileStatus
from rabta_eoffice import records
from rabta_eoffice.entries import Entry
from rabta_eoffice.rules import Reason, Refused

SO, DS = ("p-1", "ITT-SO-ADMN2"), ("p-2", "ITT-DS-ADMN")


def enter(place: Office, actor: tuple[str, str], kind: EventType, **what: Any) -> Event:
    """A person makes an entry that e-Office takes."""
    made = place.desk.enter(actor, Entry(kind=kind, **what))
    assert not isinstance(made, Refused), made
    return made


async def begins(place: Office, words: str, eventually: Any) -> Sent:
    """The newest message of the bridge that begins so."""

    def newest() -> Sent | None:
        found = [one for one in place.chat.sent if one.body.startswith(words)]
        return found[-1] if found else None

    found: Sent = await eventually(newest, what=words)
    return found


async def put_up(place: Office, eventually: Any) -> str:
    """A file is before DS, and shown to DS; gives its id."""
    file_id = place.open_file()
    place.put_up(file_id)
    await begins(place, "Put up to you", eventually)
    return file_id


async def test_a_draft_goes_up_and_comes_back_approved(ministry: Ministry, eventually: Any) -> None:
    async with office(ministry) as place:
        file_id = await put_up(place, eventually)
        draft = Draft(draft_id="D-1", file_id=file_id, version=1, addressees=("Finance Division",))
        about = {"file_id": file_id, "draft": draft}
        enter(place, SO, EventType.DRAFT_SUBMITTED, to_post=DS[1], purpose=Purpose.PUT_UP, **about)
        card = await begins(place, "A draft for your approval", eventually)
        assert "Addressed to: \u2068Finance Division\u2069" in card.body
        enter(place, DS, EventType.DRAFT_APPROVED, **about)
        await begins(place, "The draft was approved", eventually)
        edit = await eventually(lambda: place.chat.edit_of(card.event_id))
        assert edit.content["m.new_content"]["body"].startswith("Approved: ")
        sent = Dispatch(dispatch_id="P-1", dispatch_no="D.No.12/2026", form="letter")
        enter(place, SO, EventType.DISPATCH_ISSUED, file_id=file_id, dispatch=sent)
        await begins(place, "Issued: ", eventually)
        enter(place, SO, EventType.DISPATCH_FAILED, file_id=file_id, dispatch=sent)
        await begins(place, "Could not be delivered: ", eventually)


async def test_a_receipt_is_marked_and_placed_on_its_file(
    ministry: Ministry, eventually: Any
) -> None:
    async with office(ministry) as place:
        file_id = await put_up(place, eventually)
        paper = {"receipt_id": "R-1", "diary_no": "845", "diary_date": "2026-07-14"}
        receipt = Receipt.model_validate(paper | {"subject": "Budget estimates"})
        enter(place, SO, EventType.RECEIPT_MARKED, to_post=DS[1], receipt=receipt)
        card = await begins(place, "A paper was marked to you", eventually)
        filed = Receipt.model_validate(paper | {"file_id": file_id})
        enter(place, DS, EventType.RECEIPT_FILED, receipt=filed)
        await begins(place, "A paper was placed on the file", eventually)
        edit = await eventually(lambda: place.chat.edit_of(card.event_id))
        assert edit.content["m.new_content"]["body"].startswith("Placed on the file: ")


async def test_a_file_raised_in_e_office_is_taken_back_from_the_chat(
    ministry: Ministry, eventually: Any
) -> None:
    async with office(ministry) as place:
        file_id = await put_up(place, eventually)
        card = place.chat.cards()[0]
        enter(
            place,
            DS,
            EventType.FILE_CLASSIFICATION_CHANGED,
            file_id=file_id,
            grade=Grade.CONFIDENTIAL,
        )
        await eventually(lambda: card.event_id in place.chat.redacted, what="the redaction")

        def anew() -> list[Sent]:
            classes = place.chat.classes
            return [one for one in place.chat.cards() if classes[one.room_id] == "confidential"]

        await eventually(anew, what="the card anew")
        assert all("Procurement" not in one.body for one in anew())


async def test_the_life_of_a_file_is_told_and_its_order_kept(
    ministry: Ministry, eventually: Any
) -> None:
    async with office(ministry) as place:
        file_id = await put_up(place, eventually)
        deadline = Deadline.model_validate({"kind": "disposal", "due": "2026-07-16T16:00:00+05:00"})
        enter(place, DS, EventType.DEADLINE_SET, file_id=file_id, deadline=deadline)
        await begins(place, "Time limit set", eventually)
        enter(place, DS, EventType.FILE_PARKED, file_id=file_id, deadline=deadline)
        await begins(place, "Parked", eventually)
        enter(place, DS, EventType.FILE_BROUGHT_UP, file_id=file_id)
        await begins(place, "Brought up again", eventually)
        early = place.desk.enter(DS, Entry(kind=EventType.FILE_RECORDED, file_id=file_id))
        assert isinstance(early, Refused)
        assert early.reason is Reason.WRONG_STATUS
        for kind in (EventType.FILE_CLOSED, EventType.FILE_RECORDED):
            enter(place, DS, kind, file_id=file_id, record_category="B")
        with place.desk.engine.begin() as connection:
            file = records.find_file(connection, file_id)
        assert file is not None
        assert file.status is FileStatus.RECORDED


@pytest.mark.parametrize(
    ("actor", "what", "reason"),
    [
        (("p-2", "ITT-SO-ADMN2"), {"kind": EventType.FILE_PARKED}, Reason.WRONG_HOLDER),
        (SO, {"kind": EventType.FILE_PARKED}, Reason.WRONG_HOLDER),
        (DS, {"kind": EventType.FILE_MARKED}, Reason.MALFORMED),
        (DS, {"kind": EventType.FILE_PARKED, "file_id": "none"}, Reason.UNKNOWN_FILE),
        (DS, {"kind": EventType.FILE_LINKED, "to_post": "nobody"}, Reason.UNKNOWN_POST),
    ],
)
async def test_an_entry_that_may_not_be_made_is_refused_and_tells_nothing(
    actor: tuple[str, str],
    what: dict[str, Any],
    reason: Reason,
    ministry: Ministry,
    eventually: Any,
) -> None:
    async with office(ministry) as place:
        file_id = await put_up(place, eventually)
        before = len(place.chat.sent)
        refused = place.desk.enter(actor, Entry(**({"file_id": file_id} | what)))
        assert isinstance(refused, Refused)
        assert refused.reason is reason
        with pytest.raises(ContractError):
            place.desk.enter(DS, Entry(kind=EventType.DRAFT_SUBMITTED, file_id=file_id))
        assert len(place.chat.sent) == before
