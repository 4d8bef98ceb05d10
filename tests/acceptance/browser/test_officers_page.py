"""The officer's page in a real Chromium, against a real homeserver and a second real client."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rabta_deploy.homeserver import Homeserver
from rabta_deploy.officer import Officer, OfficerError

pytestmark = [pytest.mark.network, pytest.mark.asyncio(loop_scope="module")]

POLL = "org.matrix.msc3381.poll.start"
TEXT = "org.matrix.msc1767.text"


def html(body: str, formatted: str) -> dict[str, Any]:
    return {
        "msgtype": "m.text",
        "body": body,
        "format": "org.matrix.custom.html",
        "formatted_body": formatted,
    }


def edit(event_id: str, content: dict[str, Any]) -> dict[str, Any]:
    relation = {"rel_type": "m.replace", "event_id": event_id}
    return {**content, "m.new_content": content, "m.relates_to": relation}


async def room_with(eoffice: Officer, user_id: str, eventually: Any) -> str:
    """An encrypted room in which the invite is known to the one who sends the card."""
    room = await eoffice.create_room(name="e-Office", invite=[user_id])

    async def invited() -> bool:
        return (await eoffice.members(room)).get(user_id) in {"invite", "join"}

    await eventually(invited, what="the invite")
    return room


async def test_wrong_words_at_the_entrance_are_answered_in_words(
    desk: Any, person: Any, officer: Any
) -> None:
    other = await person("rubina")
    await desk.open()
    await desk.sign_in(officer.name, "not the password")
    await desk.page.get_by_text("Wrong user name or password.").wait_for()
    await desk.sign_in(officer.name, "a password of tests")
    for wrong in ("EsTc no key at all", other.recovery_key):
        await desk.unlock(wrong)
        await desk.page.get_by_text("This is not the account's recovery key.").wait_for()
    await desk.unlock(officer.recovery_key)
    await desk.ready()


async def test_where_the_officer_may_not_write_a_sentence_says_so_in_both_languages(
    desk: Any, officer: Any, eoffice: Officer, eventually: Any
) -> None:
    await desk.enter(officer)
    room = await eoffice.create_room(
        name="Announcements",
        invite=[officer.user_id],
        power_level_content_override={"events_default": 50},
    )

    async def invited() -> bool:
        return (await eoffice.members(room)).get(officer.user_id) in {"invite", "join"}

    await eventually(invited, what="the invite")
    await desk.page.get_by_role("button", name="Accept").click()
    told = await eoffice.send(room, "The office is closed on Friday")
    await desk.message(told).get_by_text("closed on Friday").wait_for()
    await desk.page.get_by_text("In this room only e-Office writes").wait_for()
    assert not await desk.page.locator(".composer").is_visible()
    assert not await desk.message(told).locator(".reply").is_visible()
    await desk.page.get_by_role("button", name="اردو").click()
    await desk.page.get_by_text("اس کمرے میں صرف ای آفس لکھتا ہے").wait_for()
    assert not await desk.page.locator(".composer").is_visible()


async def test_a_card_is_read_answered_and_seen_as_its_outcome(
    desk: Any, officer: Any, eoffice: Officer, eventually: Any
) -> None:
    await desk.enter(officer)
    room = await room_with(eoffice, officer.user_id, eventually)
    await desk.accept()
    card = await eoffice.send_event(
        room, "m.room.message", html("File 1(5) waits", "<p><strong>File 1(5) waits</strong></p>")
    )
    shown = desk.message(card)
    await shown.get_by_text("File 1(5) waits").wait_for()
    assert await shown.locator(".warning").count() == 0
    await shown.get_by_role("button", name="Reply").click()
    await desk.page.keyboard.type("approve")
    await desk.page.keyboard.press("Enter")
    answer = await eoffice.wait_message(room, contains="approve", sender=officer.user_id)
    assert (answer["reply_to"], answer["encrypted"], answer["shield"]) == (card, True, "none")
    outcome = html("Approved 1(5)", "<p>Approved 1(5)</p>")
    await eoffice.send_event(room, "m.room.message", edit(card, outcome))
    await shown.get_by_text("Approved 1(5)").wait_for()
    assert await shown.get_by_text("File 1(5) waits").count() == 0
    assert await shown.get_by_text("edited").count() == 1


async def test_a_card_that_came_while_the_officer_had_no_session_is_read(
    desk: Any, person: Any, eoffice: Officer, eventually: Any
) -> None:
    officer = await person("farah")
    room = await room_with(eoffice, officer.user_id, eventually)
    # The sender must know the officer's keys by now, as a bridge that sends days later does.
    card = await eoffice.send(room, "while you were away")
    await desk.enter(officer)
    await desk.accept()
    await desk.message(card).get_by_text("while you were away").wait_for()


async def test_a_card_that_outruns_its_senders_keys_is_shown_once_they_are_known(
    desk: Any, person: Any, officer: Any, eoffice: Officer, eventually: Any
) -> None:
    stranger = await person("stranger")
    await desk.enter(officer)
    known = asyncio.Event()

    async def hold(route: Any) -> None:
        if stranger.user_id in (route.request.post_data or ""):
            await known.wait()
        await route.continue_()

    await desk.page.route("**/keys/query", hold)
    async with Officer() as sender:
        await stranger.sign_in(sender)
        room = await room_with(eoffice, officer.user_id, eventually)
        await eoffice.invite(room, stranger.user_id)
        await sender.wait_room(room=room)
        await sender.join(room)
        await desk.accept()
        card = desk.message(await sender.send(room, "here at once"))
        await card.get_by_text("a device that its owner has not signed").wait_for()
        known.set()
        await card.get_by_text("here at once").wait_for()
        assert await card.locator(".warning").count() == 0
    await desk.page.unroute_all(behavior="wait")


async def test_a_poll_is_answered_with_a_button(
    desk: Any, officer: Any, eoffice: Officer, eventually: Any
) -> None:
    await desk.enter(officer)
    room = await room_with(eoffice, officer.user_id, eventually)
    await desk.accept()
    answers = [{"id": "approve", TEXT: "approve"}, {"id": "seen", TEXT: "seen"}]
    question = {TEXT: "Your decision?"}
    poll = await eoffice.send_event(
        room, POLL, {POLL: {"question": question, "max_selections": 1, "answers": answers}}
    )
    await desk.message(poll).get_by_role("button", name="approve").click()
    await desk.page.get_by_text("You answered: approve").wait_for()
    response = "org.matrix.msc3381.poll.response"

    async def voted() -> Any:
        return [m for m in await eoffice.messages(room) if m["type"] == response]

    (vote,) = await eventually(voted, what="the vote")
    assert vote["content"][response] == {"answers": ["approve"]}
    assert vote["content"]["m.relates_to"]["event_id"] == poll


async def test_a_hostile_card_runs_nothing_and_fetches_nothing(
    desk: Any, officer: Any, eoffice: Officer, eventually: Any
) -> None:
    await desk.enter(officer)
    room = await room_with(eoffice, officer.user_id, eventually)
    await desk.accept()
    fetched: list[str] = []
    desk.page.on("request", lambda request: fetched.append(request.url))
    desk.page.on("dialog", lambda dialog: fetched.append(f"dialog {dialog.message}"))
    hostile = (
        "<script>alert(1)</script><img src='http://127.0.0.1:9/spy.png' onerror='alert(2)'>"
        "<p style='background:url(http://127.0.0.1:9/spy)' onclick='alert(3)'>harmless text</p>"
        "<a href='javascript:alert(4)'>a link</a><iframe src='http://127.0.0.1:9/'></iframe>"
        "<form action='http://127.0.0.1:9/'><input name='password'></form>"
    )
    card = await eoffice.send_event(room, "m.room.message", html("harmless text", hostile))
    shown = desk.message(card).locator(".body")
    await shown.get_by_text("harmless text").click()
    await shown.get_by_text("a link").click()
    left = await shown.evaluate("b => [...b.querySelectorAll('*')].map(e => e.outerHTML)")
    assert left == [
        '<p dir="auto">harmless text</p>',
        '<a target="_blank" rel="noopener noreferrer">a link</a>',
    ]
    assert [url for url in fetched if not url.startswith(officer.homeserver.client_url)] == []


async def test_words_of_a_device_that_its_owner_has_not_signed_are_not_shown(
    desk: Any, person: Any, officer: Any, eventually: Any
) -> None:
    careless = await person("careless")
    await desk.enter(officer)
    async with Officer() as unsigned:
        await careless.sign_in(unsigned, mode="unsigned")
        room = await room_with(unsigned, officer.user_id, eventually)
        await desk.accept()
        event = await unsigned.send(room, "believe me")
        shown = desk.message(event)
        await shown.get_by_text("a device that its owner has not signed").wait_for()
        assert await shown.get_by_text("believe me").count() == 0


async def test_what_a_server_forges_is_warned_of_and_changes_no_card(
    desk: Any, person: Any, officer: Any, eventually: Any
) -> None:
    sender = await person("sender")
    await desk.enter(officer)
    async with Officer() as signed:
        await sender.sign_in(signed)
        room = await room_with(signed, officer.user_id, eventually)
        await desk.accept()
        card = await signed.send(room, "the true card")
        await desk.message(card).get_by_text("the true card").wait_for()
        forged = {"msgtype": "m.text", "body": "approved already"}
        await sender.clear_event(room, edit(card, forged))
        message = await sender.clear_event(room, {"msgtype": "m.text", "body": "pay at once"})
        shown = desk.message(message)
        await shown.get_by_text("pay at once").wait_for()
        assert "Not encrypted" in await shown.locator(".warning").inner_text()
        assert await desk.message(card).locator(".body").inner_text() == "the true card"


async def test_a_first_sign_in_makes_an_identity_and_shows_its_recovery_key_once(
    desk: Any, homeserver: Homeserver
) -> None:
    homeserver.register("newcomer", "a password of tests")
    await desk.open()
    await desk.sign_in("newcomer", "a password of tests")
    await desk.page.get_by_role("button", name="Create my identity").click()
    key = await desk.page.locator("output.recovery-key").inner_text()
    await desk.page.get_by_role("button", name="I have kept it").click()
    await desk.ready()
    async with Officer() as second:
        login = (homeserver.client_url, "newcomer", "a password of tests")
        assert (await second.login(*login, recovery_key=key))["signed"] is True


async def test_a_reload_keeps_the_device_and_signing_out_leaves_nothing(
    desk: Any, officer: Any, eoffice: Officer, eventually: Any
) -> None:
    await desk.enter(officer)
    room = await room_with(eoffice, officer.user_id, eventually)
    await desk.accept()
    card = await eoffice.send(room, "read before and after")
    await desk.message(card).get_by_text("read before and after").wait_for()
    device = await desk.device_signed()
    await desk.page.reload()
    await desk.message(card).get_by_text("read before and after").wait_for()
    assert await desk.device_signed() == device
    await desk.page.get_by_role("button", name="Sign out").click()
    await desk.page.get_by_label("Password").wait_for()
    left = "indexedDB.databases().then(all => [all.length, localStorage['rabta-account']])"
    assert await desk.page.evaluate(left) == [0, None]


async def test_a_session_that_the_homeserver_ends_leads_back_to_the_entrance(
    desk: Any, person: Any
) -> None:
    ousted = await person("rashid")
    await desk.enter(ousted)
    await ousted.log_out_everywhere()
    await desk.page.get_by_label("Password").wait_for()
    left = "indexedDB.databases().then(all => [all.length, localStorage['rabta-account']])"
    assert await desk.page.evaluate(left) == [0, None]


async def test_a_homeserver_that_is_down_is_told_and_the_device_is_kept(
    desk: Any, officer: Any, homeserver: Homeserver
) -> None:
    await desk.enter(officer)
    device = await desk.device_signed()
    await desk.page.route(f"{homeserver.client_url}/**", lambda route: route.abort())
    await desk.page.reload()
    await desk.page.get_by_text("The homeserver does not answer.").wait_for()
    await desk.page.unroute(f"{homeserver.client_url}/**")
    await desk.page.get_by_role("button", name="Try again").click()
    await desk.ready()
    assert await desk.device_signed() == device


async def test_a_second_tab_is_sent_to_the_first(desk: Any, officer: Any) -> None:
    await desk.enter(officer)
    second = await desk.page.context.new_page()
    await second.goto(desk.url)
    await second.get_by_text("Rabta is open in another tab of this browser.").wait_for()


async def test_everything_works_from_the_keyboard_and_in_urdu(
    desk: Any, officer: Any, eoffice: Officer, eventually: Any
) -> None:
    keyboard = desk.page.keyboard
    await desk.open()
    await desk.page.get_by_role("button", name="اردو").press("Enter")
    assert await desk.page.evaluate("document.documentElement.dir") == "rtl"
    # The first field that must be filled has the focus.
    await keyboard.type(officer.name)
    await keyboard.press("Tab")
    await keyboard.type("a password of tests")
    await keyboard.press("Enter")
    await desk.page.get_by_label("بازیابی کلید").wait_for()
    await keyboard.type(officer.recovery_key)
    await keyboard.press("Enter")
    await desk.page.get_by_text("مالک کا دستخط شدہ").wait_for()
    room = await room_with(eoffice, officer.user_id, eventually)
    await desk.page.get_by_role("button", name="قبول کریں").press("Enter")
    await eoffice.wait_room(room=room, membership="join")
    await desk.page.locator("textarea:focus").wait_for()
    card = await eoffice.send(room, "فائل 1(5)/2026 آپ کے فیصلے کی منتظر ہے")
    body = desk.message(card).locator(".body p")
    await body.wait_for()
    assert await body.evaluate("p => getComputedStyle(p).direction") == "rtl"
    await keyboard.type("منظور")
    await keyboard.press("Enter")
    answer = await eoffice.wait_message(room, contains="منظور", sender=officer.user_id)
    assert answer["shield"] == "none"


async def test_the_headless_officer_refuses_with_reasons(
    person: Callable[[str], Awaitable[Any]], officer: Any, homeserver: Homeserver
) -> None:
    other = await person("omar")
    login = (homeserver.client_url, officer.name, "a password of tests")
    wrong = {
        "identity-needed": {},
        "identity-exists": {"create_identity": True},
        "recovery-key-wrong": {"recovery_key": other.recovery_key},
    }
    async with Officer() as headless:
        for reason, how in wrong.items():
            with pytest.raises(OfficerError) as refused:
                await headless.login(*login, **how)
            assert refused.value.reason == reason
        with pytest.raises(OfficerError) as refused:
            await headless.login("http://127.0.0.1:9", "bilal", "x", create_identity=True)
        assert refused.value.reason == "homeserver-unreachable"
        with pytest.raises(OfficerError) as refused:
            await headless.login(homeserver.client_url, officer.name, "wrong", create_identity=True)
        assert (refused.value.reason, refused.value.errcode) == (
            "homeserver-refused",
            "M_FORBIDDEN",
        )
        with pytest.raises(OfficerError) as refused:
            await headless.rooms()
        assert refused.value.reason == "not-signed-in"
