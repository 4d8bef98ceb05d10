"""Tables an officer could read: what words mean, and which command is refused why."""

from dataclasses import replace
from datetime import timedelta

import pytest
from events import Telling
from hypothesis import given
from hypothesis import strategies as st
from ministry import NOW

from rabta_bots.cards.kinds import offered_verbs
from rabta_bots.commands.grammar import MAX_REMARKS, Misread, Said, Talk, parse, spoken
from rabta_bots.commands.judging import (
    CardState,
    Letter,
    Refusal,
    judge_command,
    judge_letter,
    needs_confirmation,
)
from rabta_bots.commands.reading import read
from rabta_bots.grades import Allowance
from rabta_bots.matrix import Received, SenderTrust
from rabta_contract import CommandVerb as Verb

WORDS = [
    # what the officer writes, what it means
    ("approve", Said(Verb.APPROVE)),
    ("Approve.", Said(Verb.APPROVE)),
    ("  APPROVED\n", Said(Verb.APPROVE)),
    ("approve #41", Said(Verb.APPROVE, 41)),
    ("approve # ۴۱", Said(Verb.APPROVE, 41)),
    ("منظور", Said(Verb.APPROVE)),
    ("منظور ہے۔", Said(Verb.APPROVE)),
    ("منظور #٤١", Said(Verb.APPROVE, 41)),
    ("return Please attach the PC-I.", Said(Verb.RETURN, None, "Please attach the PC-I.")),
    ("return #7 no budget", Said(Verb.RETURN, 7, "no budget")),
    ("return\nfirst line\nsecond", Said(Verb.RETURN, None, "first line\nsecond")),
    ("واپس بجٹ نہیں ہے", Said(Verb.RETURN, None, "بجٹ نہیں ہے")),
    ("واپس کریں بجٹ نہیں", Said(Verb.RETURN, None, "بجٹ نہیں")),
    ("seen", Said(Verb.SEEN)),
    ("دیکھ لیا", Said(Verb.SEEN)),
    ("ديکھ ليا", Said(Verb.SEEN)),  # Arabic yeh from another keyboard
    ("ملاحظہ کیا", Said(Verb.SEEN)),
    ("discuss", Said(Verb.DISCUSS)),
    ("please speak", Said(Verb.DISCUSS)),
    ("بات کریں", Said(Verb.DISCUSS)),
    ("بات كريں", Said(Verb.DISCUSS)),  # Arabic kaf
    ("forward ITT-JS", Said(Verb.FORWARD, None, "ITT-JS")),
    ("ارسال ITT-JS", Said(Verb.FORWARD, None, "ITT-JS")),
    ("acknowledge", Said(Verb.ACKNOWLEDGE)),
    ("ack", Said(Verb.ACKNOWLEDGE)),
    ("وصول", Said(Verb.ACKNOWLEDGE)),
    ("pending", Said(Talk.PENDING)),
    ("زیرِ التوا", Said(Talk.PENDING)),  # with its zer
    ("history F.No.1(5)/2026-Admn-II", Said(Talk.HISTORY, None, "F.No.1(5)/2026-Admn-II")),
    ("تاریخ F.No.1(5)/2026-Admn-II", Said(Talk.HISTORY, None, "F.No.1(5)/2026-Admn-II")),
    ("history", Said(Talk.HISTORY)),
    ("open #۴۱", Said(Talk.OPEN, 41)),
    ("کھولیں", Said(Talk.OPEN)),
    ("lang ur", Said(Talk.LANG, None, "ur")),
    ("زبان اردو", Said(Talk.LANG, None, "ur")),
    ("class confidential", Said(Talk.CLASS, None, "confidential")),
    ("Class Restricted.", Said(Talk.CLASS, None, "restricted")),
    ("class secret", Said(Talk.CLASS, None, "secret")),
    (
        "class confidential #Budget:itt.gov.test",
        Said(Talk.CLASS, None, "confidential #Budget:itt.gov.test"),
    ),
    ("class restricted !aB-c_9", Said(Talk.CLASS, None, "restricted !aB-c_9")),
    (
        "class restricted https://matrix.to/#/%23Budget%3Aitt.gov.test?via=itt.gov.test",
        Said(Talk.CLASS, None, "restricted #Budget:itt.gov.test"),
    ),
    ("درجہ محدود", Said(Talk.CLASS, None, "restricted")),
    ("درجه صيغہ راز", Said(Talk.CLASS, None, "confidential")),  # Arabic heh and yeh
    ("درجہ بندی صیغۂ راز #b:itt.gov.test", Said(Talk.CLASS, None, "confidential #b:itt.gov.test")),
    ("help", Said(Talk.HELP)),
    ("مدد", Said(Talk.HELP)),
    ("yes 1234", Said(Talk.YES, None, "1234")),
    ("yes ۱۲۳۴", Said(Talk.YES, None, "1234")),
    ("ہاں ١٢٣٤", Said(Talk.YES, None, "1234")),
    ("جی ہاں 1234", Said(Talk.YES, None, "1234")),
    ("no", Said(Talk.NO)),
    # what is no command
    ("", Misread.UNKNOWN_COMMAND),
    ("hello", Misread.UNKNOWN_COMMAND),
    ("approval", Misread.UNKNOWN_COMMAND),
    ("👍", Misread.UNKNOWN_COMMAND),
    ("approve it on Monday", Misread.EXTRA_WORDS),
    ("approve #", Misread.EXTRA_WORDS),
    ("seen but not agreed", Misread.EXTRA_WORDS),
    ("منظور نہیں", Misread.EXTRA_WORDS),  # "not approved"
    ("return", Misread.REMARKS_REQUIRED),
    ("return #41", Misread.REMARKS_REQUIRED),
    ("forward", Misread.POST_REQUIRED),
    ("forward the file to JS", Misread.POST_REQUIRED),
    ("lang fr", Misread.LANGUAGE_REQUIRED),
    ("class", Misread.CLASS_REQUIRED),
    ("class #budget:itt.gov.test", Misread.CLASS_REQUIRED),
    ("class action suit", Misread.CLASS_REQUIRED),
    ("class confidential budget", Misread.CLASS_REQUIRED),
    ("yes", Misread.CODE_REQUIRED),
    ("yes 12345", Misread.CODE_REQUIRED),
    ("return " + "x" * (MAX_REMARKS + 1), Misread.TOO_LONG),
]


@pytest.mark.parametrize(("text", "meaning"), WORDS)
def test_words_mean_what_the_table_says(text: str, meaning: Said | Misread) -> None:
    assert parse(text) == meaning


@given(st.text())
def test_any_words_at_all_are_read_or_refused(text: str) -> None:
    assert isinstance(parse(text), Said | Misread)


@given(st.sampled_from([text for text, _ in WORDS]), st.text(alphabet="\u200b\u200f\u202e\u2068"))
def test_invisible_letters_change_nothing(text: str, hidden: str) -> None:
    assert parse(hidden + text + hidden) == parse(text)


def test_the_quotation_of_a_reply_is_not_read() -> None:
    body = "> <@rabta:itt.gov.test> You can reply: approve\n> more\n\nreturn no budget"
    assert spoken(body, reply=True) == "return no budget"
    assert spoken(body, reply=False) == body


GOOD_LETTER = Letter(
    encrypted=True,
    device=SenderTrust.SIGNED,
    edited=False,
    forwarded=False,
    sender_server="itt.gov.test",
    own_server="itt.gov.test",
    known_person=True,
)

LETTERS = [
    ({}, None),
    ({"encrypted": False}, Refusal.NOT_ENCRYPTED),
    ({"device": SenderTrust.UNSIGNED}, Refusal.UNSIGNED_DEVICE),
    ({"device": SenderTrust.UNKNOWN}, Refusal.UNKNOWN_DEVICE),
    ({"device": SenderTrust.CHANGED_IDENTITY}, Refusal.CHANGED_IDENTITY),
    ({"edited": True}, Refusal.EDITED_MESSAGE),
    ({"forwarded": True}, Refusal.FORWARDED_MESSAGE),
    ({"sender_server": "fin.gov.test"}, Refusal.OTHER_MINISTRY),
    ({"known_person": False}, Refusal.UNKNOWN_PERSON),
]


@pytest.mark.parametrize(("changes", "refusal"), LETTERS)
def test_a_message_that_may_not_command_is_refused(
    changes: dict[str, object], refusal: Refusal | None
) -> None:
    assert judge_letter(replace(GOOD_LETTER, **changes)) == refusal  # type: ignore[arg-type]  # a table row


GOOD_CARD = CardState(
    state="open",
    expires_at=NOW + timedelta(hours=1),
    decide="confirm",
    movement_no=12,
    latest_movement=12,
    held_by_sender=True,
    may_decide=True,
    offered=tuple(Verb),
)

WORKING = (Verb.SEEN, Verb.DISCUSS, Verb.FORWARD, Verb.ACKNOWLEDGE)

CARDS = [
    (Verb.APPROVE, {}, None),
    (Verb.APPROVE, {"held_by_sender": False}, Refusal.NOT_HOLDER),
    (Verb.APPROVE, {"held_by_sender": False, "state": "decided"}, Refusal.NOT_HOLDER),
    (Verb.APPROVE, {"state": "decided"}, Refusal.CARD_USED),
    (Verb.APPROVE, {"state": "deciding"}, Refusal.CARD_BUSY),
    (Verb.APPROVE, {"state": "withdrawn"}, Refusal.CARD_WITHDRAWN),
    (Verb.APPROVE, {"state": "superseded"}, Refusal.STALE_MOVEMENT),
    (Verb.APPROVE, {"state": "expired"}, Refusal.CARD_EXPIRED),
    (Verb.APPROVE, {"expires_at": NOW}, Refusal.CARD_EXPIRED),
    (Verb.APPROVE, {"latest_movement": 13}, Refusal.STALE_MOVEMENT),
    (Verb.APPROVE, {"decide": "no"}, Refusal.GRADE_NOT_FROM_CHAT),
    (Verb.SEEN, {"decide": "no"}, Refusal.GRADE_NOT_FROM_CHAT),
    (Verb.APPROVE, {"may_decide": False}, Refusal.LOOK_AFTER_MAY_NOT_DECIDE),
    (Verb.RETURN, {"may_decide": False}, Refusal.LOOK_AFTER_MAY_NOT_DECIDE),
    (Verb.SEEN, {"may_decide": False, "offered": WORKING}, None),
    (Verb.DISCUSS, {"offered": (Verb.SEEN,)}, Refusal.NOT_OFFERED),
]


@pytest.mark.parametrize(("verb", "changes", "refusal"), CARDS)
def test_a_card_takes_a_command_only_when_the_table_says_so(
    verb: Verb, changes: dict[str, object], refusal: Refusal | None
) -> None:
    card = replace(GOOD_CARD, **changes)  # type: ignore[arg-type]  # a table row
    assert judge_command(verb, card, NOW) == refusal


@pytest.mark.parametrize(
    ("verb", "decide", "asked"),
    [
        (Verb.APPROVE, "yes", True),
        (Verb.APPROVE, "confirm", True),
        (Verb.RETURN, "yes", True),
        (Verb.SEEN, "confirm", True),
        (Verb.SEEN, "yes", False),
        (Verb.FORWARD, "confirm", True),
        (Verb.DISCUSS, "confirm", False),
        (Verb.ACKNOWLEDGE, "confirm", False),
    ],
)
def test_what_disposes_of_a_file_is_confirmed(verb: Verb, decide: str, *, asked: bool) -> None:
    assert needs_confirmation(verb, decide) is asked


DECIDABLE = Allowance("restricted", subject=True, decide="confirm")


@pytest.mark.parametrize(
    ("how", "post", "may_decide", "offered"),
    [
        ({}, "ITT-DS-ADMN", True, {Verb.APPROVE, Verb.RETURN, *WORKING}),
        ({}, "ITT-DS-ADMN", False, set(WORKING)),
        ({}, "ITT-JS", True, set()),  # a copy
        (
            {"purpose": "for_information"},
            "ITT-DS-ADMN",
            True,
            {Verb.SEEN, Verb.FORWARD, Verb.ACKNOWLEDGE},
        ),
        ({"kind": "reminder.sent"}, "ITT-DS-ADMN", True, set()),
    ],
)
def test_a_card_offers_what_its_post_may_do(
    telling: Telling, how: dict[str, str], post: str, *, may_decide: bool, offered: set[Verb]
) -> None:
    event = telling.marked(**how)
    assert set(offered_verbs(event, post, DECIDABLE, may_decide=may_decide)) == offered
    closed = replace(DECIDABLE, decide="no")
    assert offered_verbs(event, post, closed, may_decide=may_decide) == ()


def received(type_: str, content: dict[str, object]) -> Received:
    """An encrypted event from an officer."""
    return Received(
        event_id="$1",
        room_id="!r",
        sender="@bilal:itt.gov.test",
        type=type_,
        content=content,
        encrypted=True,
        device=SenderTrust.SIGNED,
        device_id="D",
        origin_server_ts=0,
    )


NEVER_READ = [
    ("m.reaction", {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$c", "key": "👍"}}),
    ("m.room.message", {"msgtype": "m.notice", "body": "approve"}),
    ("m.room.message", {"msgtype": "m.emote", "body": "approve"}),
    ("m.room.message", {"msgtype": "m.file", "body": "approve"}),
    ("m.room.message", {"msgtype": "m.text", "body": ["approve"]}),
    ("m.room.message", {}),
    ("org.matrix.msc3381.poll.response", {"org.matrix.msc3381.poll.response": {"answers": []}}),
    ("org.matrix.msc3381.poll.response", {"org.matrix.msc3381.poll.response": None}),
    ("m.sticker", {"body": "approve"}),
]


@pytest.mark.parametrize(("type_", "content"), NEVER_READ)
def test_what_is_not_a_text_or_one_poll_answer_is_never_a_command(
    type_: str, content: dict[str, object]
) -> None:
    assert read(received(type_, content)) is None


def test_a_poll_answer_is_a_command_on_the_card_of_its_poll() -> None:
    reading = read(
        received(
            "org.matrix.msc3381.poll.response",
            {
                "org.matrix.msc3381.poll.response": {"answers": ["approve"]},
                "m.relates_to": {"rel_type": "m.reference", "event_id": "$poll"},
            },
        )
    )
    assert reading is not None
    assert (reading.said, reading.targets) == (Said(Verb.APPROVE), ("$poll",))


def test_a_reply_in_a_thread_names_what_it_replies_to_and_then_the_thread() -> None:
    reading = read(
        received(
            "m.room.message",
            {
                "msgtype": "m.text",
                "body": "approve",
                "m.relates_to": {
                    "rel_type": "m.thread",
                    "event_id": "$root",
                    "m.in_reply_to": {"event_id": "$near"},
                },
            },
        )
    )
    assert reading is not None
    assert reading.targets == ("$near", "$root")
