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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ministry import NOW

from rabta_bots.cards.content import (
    MAX_BYTES,
    card_message,
    edit_of,
    fitting,
    line_message,
    poll,
    size_of,
)
from rabta_bots.cards.kinds import RULES, CardKind, Treatment
from rabta_bots.cards.rows import shortened
from rabta_bots.cards.view import Facts, closed_card, line, pending_card
from rabta_bots.cards.words import OUTCOMES
from rabta_bots.commands import answers
from rabta_bots.composing import issued
from rabta_bots.officers import Officer
from rabta_contract import CommandVerb, Event
from rabta_contract.text import BIDI_CONTROLS
from rabta_contract.vocabulary import EventType

HERE = Path(__file__).parent
KARACHI = ZoneInfo("Asia/Karachi")
LANGUAGES = ("en", "ur")
VERBS = tuple(verb for verb in CommandVerb if verb is not CommandVerb.REMIND)
POST = ("Deputy Secretary (Admn)", "ڈپٹی سیکرٹری (انتظامیہ)")
# The first strong character of a paragraph sets its direction (Unicode UAX 9, P2).
URDU = re.compile(r"^[^A-Za-z]*?[\u0600-\u06ff]")
FSI, PDI = "\u2068", "\u2069"


def cards() -> dict[str, Facts]:
    """One of each kind of card."""
    telling = Telling()

    def facts(kind: CardKind, event: Event | None, verbs: tuple[CommandVerb, ...] = ()) -> Facts:
        return Facts(41, kind, event, "01JZ6W1F4E7Q2M9T0K3B5C8D9A", POST, verbs)

    purposes = {
        name: facts(CardKind.FILE, telling.marked(purpose=name), VERBS)
        for name in ("put_up", "forward", "return", "refer", "for_comments", "for_signature")
    }
    return (
        purposes
        | {
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
        }
        | {
            short(kind): facts(rule.kind, telling.of_type(kind, words="Purchase"))
            for kind, rule in RULES.items()
            if rule.kind is not None and rule.kind is not CardKind.FILE
        }
        | {
            "file_brought_up": facts(
                CardKind.FILE, telling.of_type(EventType.FILE_BROUGHT_UP, words="Purchase"), VERBS
            )
        }
    )


def short(kind: EventType) -> str:
    """The name under which the type's card is kept: `eoffice.draft.submitted.v1` without ends."""
    return "_".join(kind.value.split(".")[1:3])


LINES = [kind for kind, rule in RULES.items() if rule.treatment is Treatment.LINE]


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
@pytest.mark.parametrize("kind", LINES, ids=short)
def test_each_line_reads_as_it_was_approved(kind: EventType, language: str) -> None:
    event = Telling().of_type(kind, words="Purchase")
    content = line_message([(line(event, "x", language, KARACHI), language)], "$card")
    assert "m.thread" in json.dumps(content)
    compare(f"{short(kind)}.{language}", f"{content['body']}\n----\n{content['formatted_body']}")
    assert all(URDU.match(row) for row in content["body"].splitlines()) == (language == "ur")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("result", list(OUTCOMES))
def test_each_outcome_reads_as_it_was_approved(result: str, language: str) -> None:
    outcome = {"result": result, "note_para": 8, "at": NOW.isoformat()}
    view = closed_card(cards()["put_up"], language, KARACHI, outcome)
    compare(f"outcome_{result}.{language}", card_message(view, language, None)["body"])


def test_every_kind_of_card_is_among_the_approved_ones() -> None:
    assert {facts.kind for facts in cards().values()} == set(CardKind)
    assert {rule.kind for rule in RULES.values() if rule.kind} | {CardKind.NOTICE} == set(CardKind)


@pytest.mark.parametrize("name", list(cards()))
def test_every_line_of_an_urdu_card_begins_with_an_urdu_word(name: str) -> None:
    content = card_message(pending_card(cards()[name], "ur", KARACHI), "ur", None)
    for row in content["body"].splitlines():
        assert URDU.match(row), row


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
        for row in text.splitlines():
            depth = 0
            for letter in row:
                depth += {FSI: 1, PDI: -1}.get(letter, 0)
                assert depth in {0, 1}
            assert depth == 0
    for number in re.finditer(r"F\.No\.\S+|https://\S+", content["body"]):
        assert content["body"][number.start() - 1] == FSI
        assert number.group().endswith(PDI)


TEXT = st.text(max_size=300) | st.sampled_from(["&" * 4000, "\U0001f5c2" * 4000, "\u202e" * 50])
ALLOWED_TAGS = {"p", "/p", "strong", "/strong", "br", "a", "/a", "em", "/em"}


def with_every_text(value: Any, words: str) -> Any:
    """The document with `words` in each field that is free text."""
    free = {"subject", "remarks", "designation", "designation_ur", "file_no", "diary_no", "sender"}
    free |= {"dispatch_no", "part", "volume", "person_name", "sender_ref", "puc", "file_id"}
    if isinstance(value, dict):
        return {
            key: words if key in free else with_every_text(inner, words)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [words if isinstance(item, str) else with_every_text(item, words) for item in value]
    return value


@given(
    kind=st.sampled_from([kind for kind, rule in RULES.items() if rule.kind] + LINES),
    words=TEXT,
    language=st.sampled_from(LANGUAGES),
)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_no_text_of_any_event_breaks_its_card(kind: EventType, words: str, language: str) -> None:
    document = Telling().of_type(kind).document()
    document["data"] = with_every_text(document["data"], words)
    event = Event.model_validate(document)
    rule = RULES[kind]
    if rule.kind is None:

        def said(limit: int) -> dict[str, Any]:
            view = line(event, "x", language, KARACHI, remarks_limit=limit)
            return line_message([(view, language)], "$card")

        contents = [fitting(said)]
    else:
        facts = Facts(41, rule.kind, event, "x", (words, words), VERBS)
        outcome = {"result": "returned_with_observations", "note_para": 8, "at": NOW.isoformat()}

        def closed(limit: int) -> dict[str, Any]:
            view = closed_card(facts, language, KARACHI, outcome, remarks_limit=limit)
            return edit_of("$card", card_message(view, language, None))

        officer = Officer("p-2", "@bilal:itt.gov.test", language)
        contents = [issued(facts, officer, KARACHI), fitting(closed)]
        assert ("You can reply:" if language == "en" else "آپ جواب میں") in contents[0]["body"]
    for content in contents:
        assert size_of(content) <= MAX_BYTES
        for text in (content["body"], content.get("formatted_body", "")):
            controls = [letter for letter in text if letter in BIDI_CONTROLS]
            assert controls == [FSI, PDI] * (len(controls) // 2)
        tags = re.findall(r"<(/?[a-z]+)", content.get("formatted_body", ""))
        assert set(tags) <= ALLOWED_TAGS


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
