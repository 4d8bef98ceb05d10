"""What a post may do with a file, as tables an officer could read."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rabta_contract import ChargeKind, EventType, FileStatus, Grade, Priority, Purpose
from rabta_eoffice.acts import Act, Verb, judge
from rabta_eoffice.rules import Actor, CaseFile, Channel, Refused, Step

SO, DS, JS = "ITT-SO-ADMN2", "ITT-DS-ADMN", "ITT-JS"
OPENED = CaseFile(
    file_id="ITT-2026-004512",
    file_no="F.No.1(5)/2026-Admn-II",
    subject="Procurement",
    org="ITT",
    section=None,
    grade=Grade.RESTRICTED,
    priority=Priority.ROUTINE,
    certificate_required=False,
    status=FileStatus.OPEN,
    initiator=SO,
    holder=SO,
)
PUT_UP = replace(
    OPENED, holder=DS, came_from=SO, pull_back_by=SO, movement_no=1, note_para=1, received=False
)
TRAIL = frozenset({SO, DS})
REGULAR, LOOK_AFTER = ChargeKind.REGULAR, ChargeKind.LOOK_AFTER


def result(
    file: CaseFile,
    post: str,
    verb: str,
    charge: ChargeKind | None = REGULAR,
    channel: Channel = Channel.WEB,
    **more: object,
) -> Step | Refused:
    to_post = JS if verb in {"put-up", "mark"} else ""
    act = replace(Act(Verb(verb), to_post=to_post), **more)  # type: ignore[arg-type] # a table's cells
    return judge(file, Actor("p-2", post, charge, channel), act, trail=TRAIL)


@pytest.mark.parametrize(
    ("post", "verb", "event", "holder", "movement_no", "note_para"),
    [
        (DS, "approve", EventType.DECISION_RECORDED, SO, 2, 2),
        (DS, "not-approve", EventType.DECISION_RECORDED, SO, 2, 2),
        (DS, "seen", EventType.DECISION_RECORDED, SO, 2, 2),
        (DS, "return", EventType.FILE_RETURNED, SO, 2, 2),
        (DS, "discuss", EventType.DECISION_RECORDED, DS, 1, 2),
        (DS, "put-up", EventType.FILE_MARKED, JS, 2, 1),
        (DS, "mark", EventType.FILE_MARKED, JS, 2, 1),
        (DS, "receive", EventType.FILE_RECEIVED, DS, 1, 1),
        (SO, "pull-back", EventType.FILE_PULLED_BACK, SO, 2, 1),
        (SO, "remind", EventType.REMINDER_SENT, DS, 1, 1),
    ],
)
def test_an_act_on_a_file_put_up_to_the_deputy_secretary(
    *, post: str, verb: str, event: EventType, holder: str, movement_no: int, note_para: int
) -> None:
    step = result(PUT_UP, post, verb)
    assert isinstance(step, Step)
    after = step.file
    assert (step.event, after.holder, after.movement_no, after.note_para) == (
        event,
        holder,
        movement_no,
        note_para,
    )


@pytest.mark.parametrize(
    ("file", "post", "verb", "charge", "channel", "reason"),
    [
        (PUT_UP, DS, "approve", None, "web", "wrong-holder"),
        (PUT_UP, SO, "approve", REGULAR, "web", "wrong-holder"),
        (PUT_UP, JS, "discuss", REGULAR, "chat", "wrong-holder"),
        (PUT_UP, DS, "approve", LOOK_AFTER, "web", "look-after-may-not-decide"),
        (PUT_UP, DS, "not-approve", LOOK_AFTER, "web", "look-after-may-not-decide"),
        (PUT_UP, DS, "return", LOOK_AFTER, "chat", "look-after-may-not-decide"),
        (OPENED, SO, "approve", REGULAR, "web", "not-put-up"),
        (OPENED, SO, "return", REGULAR, "web", "not-put-up"),
        (OPENED, SO, "seen", REGULAR, "web", "not-put-up"),
        (OPENED, SO, "discuss", REGULAR, "web", "not-put-up"),
        (PUT_UP, DS, "pull-back", REGULAR, "web", "not-the-sender"),
        (PUT_UP, SO, "pull-back", None, "web", "wrong-holder"),
        (replace(PUT_UP, received=True), SO, "pull-back", REGULAR, "web", "already-received"),
        (PUT_UP, DS, "remind", REGULAR, "web", "wrong-holder"),
        (PUT_UP, JS, "remind", REGULAR, "web", "wrong-holder"),
        (PUT_UP, SO, "receive", REGULAR, "web", "wrong-holder"),
    ],
)
def test_an_act_is_refused(
    *, file: CaseFile, post: str, verb: str, charge: ChargeKind | None, channel: str, reason: str
) -> None:
    refused = result(file, post, verb, charge, Channel(channel))
    assert isinstance(refused, Refused)
    assert refused.reason == reason


@pytest.mark.parametrize("verb", ["seen", "discuss", "mark", "receive"])
def test_a_look_after_holder_does_day_to_day_work(verb: str) -> None:
    assert isinstance(result(PUT_UP, DS, verb, LOOK_AFTER), Step)


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.PULL_BACK])
@pytest.mark.parametrize("grade", [Grade.CONFIDENTIAL, Grade.SECRET, Grade.TOP_SECRET])
def test_no_file_above_restricted_is_worked_on_from_chat(verb: str, grade: Grade) -> None:
    refused = result(replace(PUT_UP, grade=grade), DS, verb, channel=Channel.CHAT)
    assert isinstance(refused, Refused)
    assert refused.reason == "grade-not-from-chat"


@pytest.mark.parametrize("verb", ["approve", "not-approve"])
def test_a_decision_that_needs_a_certificate_is_refused_everywhere(verb: str) -> None:
    refused = result(replace(PUT_UP, certificate_required=True), DS, verb)
    assert isinstance(refused, Refused)
    assert refused.reason == "certificate-required"


@pytest.mark.parametrize("movement_no", [0, 2])
def test_an_act_on_another_movement_is_stale(movement_no: int) -> None:
    refused = result(PUT_UP, DS, "approve", movement_no=movement_no)
    assert isinstance(refused, Refused)
    assert refused.reason == "stale-movement"


def test_who_does_not_hold_the_post_learns_nothing_of_the_file() -> None:
    secret = replace(PUT_UP, grade=Grade.SECRET)
    refused = result(secret, DS, "approve", None, Channel.CHAT, movement_no=9)
    assert isinstance(refused, Refused)
    assert refused.reason == "wrong-holder"


def test_a_file_is_not_sent_to_the_post_that_has_it() -> None:
    refused = result(PUT_UP, DS, "mark", to_post=DS)
    assert isinstance(refused, Refused)
    assert refused.reason == "same-post"


def test_a_recorded_order_is_not_pulled_back() -> None:
    approved = result(PUT_UP, DS, "approve")
    assert isinstance(approved, Step)
    refused = result(approved.file, DS, "pull-back")
    assert isinstance(refused, Refused)
    assert refused.reason == "not-the-sender"


def test_a_return_goes_to_who_put_it_up_and_a_decision_to_who_opened_it() -> None:
    higher = result(PUT_UP, DS, "put-up")
    assert isinstance(higher, Step)
    returned, decided = (result(higher.file, JS, verb) for verb in ("return", "approve"))
    assert isinstance(returned, Step)
    assert isinstance(decided, Step)
    assert (returned.file.holder, decided.file.holder) == (DS, SO)


def test_opening_a_received_file_again_tells_nothing() -> None:
    step = result(replace(PUT_UP, received=True), DS, "receive")
    assert isinstance(step, Step)
    assert step.event is None


def test_the_purpose_is_put_up_or_forward_unless_another_is_named() -> None:
    purposes = []
    for verb, purpose in (("put-up", None), ("mark", None), ("mark", Purpose.FOR_COMMENTS)):
        step = result(PUT_UP, DS, verb, purpose=purpose)
        assert isinstance(step, Step)
        assert step.moved is not None
        purposes.append(step.moved.purpose)
    assert purposes == [Purpose.PUT_UP, Purpose.FORWARD, Purpose.FOR_COMMENTS]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([SO, DS, JS]),
            st.sampled_from(list(Verb)),
            st.sampled_from([SO, DS, JS]),
            st.sampled_from([None, REGULAR, LOOK_AFTER]),
        ),
        max_size=30,
    )
)
def test_whatever_is_tried_the_file_is_where_its_last_movement_went(
    tries: list[tuple[str, Verb, str, ChargeKind | None]],
) -> None:
    file = OPENED
    for post, verb, to_post, charge in tries:
        act = Act(verb, to_post=to_post, note="n")
        step = judge(file, Actor("p", post, charge), act, trail=frozenset({SO, DS, JS}))
        if isinstance(step, Refused):
            continue
        after = step.file
        moved = step.moved
        if moved is not None and step.event is not EventType.REMINDER_SENT:
            assert (after.holder, after.movement_no) == (moved.to_post, file.movement_no + 1)
        else:
            assert (after.holder, after.movement_no) == (file.holder, file.movement_no)
        assert after.note_para == file.note_para + (step.note is not None)
        assert step.decided is None or (charge is not None and file.holder == post)
        file = after
