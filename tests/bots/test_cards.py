"""Every card in both languages, compared with the one an officer approved; and its direction.

`RABTA_WRITE_CARDS=1` writes them anew; read the difference before you commit it.
"""

import ast
import json
import os
import re
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from babel.messages.pofile import read_po
from events import Telling
from hypothesis import given
from hypothesis import strategies as st
from ministry import NOW

from rabta_bots.cards.content import MAX_BYTES, card_message, edit_of, poll, size_of
from rabta_bots.cards.kinds import KIND_OF_EVENT, CardKind
from rabta_bots.cards.view import Facts, closed_card, pending_card, shortened
from rabta_bots.cards.words import OUTCOMES
from rabta_bots.commands import answers
from rabta_bots.composing import fitting
from rabta_bots.officers import Officer
from rabta_contract import CommandVerb, Event
from rabta_contract.parsing import event_of
from rabta_contract.text import BIDI_CONTROLS

HERE = Path(__file__).parent
KARACHI = ZoneInfo("Asia/Karachi")
LANGUAGES = ("en", "ur")
VERBS = tuple(verb for verb in CommandVerb if verb is not CommandVerb.REMIND)
POST = ("Deputy Secretary (Admn)", "ڈپٹی سیکرٹری (انتظامیہ)")
# The first strong character of a paragraph sets its direction (Unicode UAX 9, P2).
URDU = re.compile(r"^[^A-Za-z]*?[\u0600-\u06ff]")
FSI, PDI = "\u2068", "\u2069"


def receipt(telling: Telling) -> Event:
    """A paper that was diarised and marked."""
    marked = telling.marked().document()
    document = telling.document(
        "receipt.marked",
        "receipt/ITT-R-2026-99",
        NOW,
        movement=marked["data"]["movement"],
        receipt={
            "receipt_id": "ITT-R-2026-99",
            "diary_no": "845",
            "diary_date": "2026-07-14",
            "subject": "Budget estimates 2026-27",
        },
    )
    return event_of(document)


def cards() -> dict[str, Facts]:
    """One of each kind of card."""
    telling = Telling()

    def facts(kind: CardKind, event: Event | None, verbs: tuple[CommandVerb, ...] = ()) -> Facts:
        return Facts(41, kind, event, "01JZ6W1F4E7Q2M9T0K3B5C8D9A", POST, verbs)

    purposes = {
        name: facts(CardKind.FILE, telling.marked(purpose=name), VERBS)
        for name in ("put_up", "forward", "return", "refer", "for_comments", "for_signature")
    }
    return purposes | {
        "for_information": facts(
            CardKind.FILE,
            telling.marked(purpose="for_information"),
            (CommandVerb.SEEN, CommandVerb.FORWARD, CommandVerb.ACKNOWLEDGE),
        ),
        "confidential": facts(
            CardKind.FILE, telling.marked(grade="CONFIDENTIAL", subject=None, remarks=None)
        ),
        "urdu_subject": facts(
            CardKind.FILE,
            telling.marked(subject="نیٹ ورک آلات کی خریداری", remarks="برائے منظوری پیرا 7/N۔"),
            VERBS,
        ),
        "notice": facts(CardKind.NOTICE, None),
        "receipt": facts(CardKind.RECEIPT, receipt(telling)),
        "decision": facts(CardKind.DECISION, telling.decided()),
        "reminder": facts(CardKind.REMINDER, telling.marked(kind="reminder.sent")),
        "deadline": facts(CardKind.DEADLINE, telling.marked(kind="deadline.breached")),
    }


def compare(name: str, text: str) -> None:
    """The text is the one kept under the name; isolates are shown as ⟦ and ⟧."""
    file = HERE / "cards" / f"{name}.txt"
    shown = text.replace(FSI, "⟦").replace(PDI, "⟧") + "\n"
    if os.environ.get("RABTA_WRITE_CARDS") == "1":
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", list(cards()))
def test_each_card_reads_as_it_was_approved(name: str, language: str) -> None:
    content = card_message(pending_card(cards()[name], language, KARACHI), language, None)
    compare(f"{name}.{language}", f"{content['body']}\n----\n{content['formatted_body']}")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("result", list(OUTCOMES))
def test_each_outcome_reads_as_it_was_approved(result: str, language: str) -> None:
    outcome = {"result": result, "note_para": 8, "at": NOW.isoformat()}
    view = closed_card(cards()["put_up"], language, KARACHI, outcome)
    compare(f"outcome_{result}.{language}", card_message(view, language, None)["body"])


def test_every_kind_of_card_is_among_the_approved_ones() -> None:
    assert {facts.kind for facts in cards().values()} == set(CardKind)
    assert set(KIND_OF_EVENT.values()) | {CardKind.NOTICE} == set(CardKind)


@pytest.mark.parametrize("name", list(cards()))
def test_every_line_of_an_urdu_card_begins_with_an_urdu_word(name: str) -> None:
    content = card_message(pending_card(cards()[name], "ur", KARACHI), "ur", None)
    for line in content["body"].splitlines():
        assert URDU.match(line), line


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", list(answers.REFUSALS))
def test_every_refusal_is_said_in_the_officers_language_with_its_code(
    reason: str, language: str
) -> None:
    text = answers.refusal(language, reason)
    assert text.endswith(f"[{reason}]")
    assert bool(URDU.match(text)) == (language == "ur")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", list(cards()))
def test_isolates_pair_and_hold_every_file_number_and_address(name: str, language: str) -> None:
    content = card_message(pending_card(cards()[name], language, KARACHI), language, None)
    for text in (content["body"], content["formatted_body"]):
        for line in text.splitlines():
            depth = 0
            for letter in line:
                depth += {FSI: 1, PDI: -1}.get(letter, 0)
                assert depth in {0, 1}
            assert depth == 0
    for number in re.finditer(r"F\.No\.\S+|https://\S+", content["body"]):
        assert content["body"][number.start() - 1] == FSI
        assert number.group().endswith(PDI)


@given(
    subject=st.text(max_size=500),
    remarks=st.text(max_size=2000),
    number=st.text(min_size=1, max_size=120),
    language=st.sampled_from(LANGUAGES),
)
def test_no_subject_breaks_a_card(subject: str, remarks: str, number: str, language: str) -> None:
    event = Telling().marked(subject=subject, remarks=remarks)
    assert event.data.file is not None
    file = event.data.file.model_copy(update={"file_no": number})
    event = event.model_copy(update={"data": event.data.model_copy(update={"file": file})})
    facts = Facts(41, CardKind.FILE, event, "x", POST, VERBS)
    content = fitting(facts, Officer("p-2", "@bilal:itt.gov.test", language), KARACHI)
    assert size_of(content) <= MAX_BYTES
    for text in (content["body"], content["formatted_body"]):
        controls = [letter for letter in text if letter in BIDI_CONTROLS]
        assert controls == [FSI, PDI] * (len(controls) // 2)
        assert "You can reply:" in text or "آپ جواب میں لکھ سکتے ہیں:" in text
    assert set(re.findall(r"<(/?[a-z]+)", content["formatted_body"])) <= {
        "p",
        "/p",
        "strong",
        "/strong",
        "br",
        "a",
        "/a",
        "em",
        "/em",
    }


def test_overrides_in_a_subject_are_taken_out() -> None:
    event = Telling().marked(subject="safe \u202egnp.exe\u202c \u2066x")
    facts = Facts(1, CardKind.FILE, event, "x", POST)
    body = card_message(pending_card(facts, "en", KARACHI), "en", None)["body"]
    assert "Subject: \u2068safe gnp.exe x\u2069" in body


def test_markup_in_a_subject_is_text() -> None:
    event = Telling().marked(subject='<img src=x onerror="a"> & <b>bold</b>')
    facts = Facts(1, CardKind.FILE, event, "x", POST)
    html = card_message(pending_card(facts, "en", KARACHI), "en", None)["formatted_body"]
    assert "<img" not in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in html


def test_only_web_addresses_become_links() -> None:
    event = Telling().marked(links=[{"rel": "open", "href": "javascript:alert(1)"}])
    facts = Facts(1, CardKind.FILE, event, "x", POST)
    assert "javascript" not in json.dumps(
        card_message(pending_card(facts, "en", KARACHI), "en", None)
    )


def test_a_cut_text_ends_at_a_word_and_says_so() -> None:
    assert shortened("one two three", 9, "en") == "one two … (continued in e-Office)"
    assert shortened("one", 9, "en") == "one"
    assert shortened("one two", 0, "en") == "… (continued in e-Office)"


def test_an_edit_replaces_the_card_and_mentions_nobody() -> None:
    facts = cards()["put_up"]
    view = closed_card(facts, "en", KARACHI, {"result": "approved"})
    content = edit_of("$card", card_message(view, "en", "@bilal:itt.gov.test"))
    assert content["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$card"}
    assert content["m.new_content"]["body"].startswith("Approved: ")
    assert content["m.mentions"] == content["m.new_content"]["m.mentions"] == {}


def test_a_poll_offers_only_commands_without_words() -> None:
    offered = poll("F.No.1", VERBS, "en")
    assert offered is not None
    start = offered["org.matrix.msc3381.poll.start"]
    assert [answer["id"] for answer in start["answers"]] == [
        "approve",
        "seen",
        "discuss",
        "acknowledge",
    ]
    assert poll("F.No.1", (), "en") is None


def catalogue() -> Any:
    file = Path(answers.__file__).parents[1] / "locale/ur/bridge.po"
    with file.open("rb") as opened:
        return read_po(opened, locale="ur")


def test_every_sentence_has_its_urdu_with_the_same_names() -> None:
    package = Path(answers.__file__).parents[1]
    marked = {
        node.args[0].value
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "N_"
        and isinstance(node.args[0], ast.Constant)
    }
    urdu = {message.id: message.string for message in catalogue() if message.id}
    assert marked == set(urdu)
    for english, translated in urdu.items():
        assert URDU.match(translated), english
        names = set(re.findall(r"\{(\w+)\}", english))
        assert names == set(re.findall(r"\{(\w+)\}", translated)), english
