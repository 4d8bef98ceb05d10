"""The pages as a person without scripts uses them: real requests, real forms, real cookies."""

import re
from typing import Any

import aiohttp
import pytest

from rabta_eoffice.service import Serving

FILE = "ITT-2026-004512"
PAGE = f"/f/{FILE}"
PUT_UP = {
    "post_id": "ITT-SO-ADMN2",
    "movement_no": "0",
    "to_post": "ITT-DS-ADMN",
    "purpose": "put_up",
    "note": "منظوری کے لیے پیش ہے۔",
    "remarks": "Please.",
}


async def test_a_person_opens_puts_up_and_another_approves(browser: Any, bridge: Any) -> None:
    await browser.sign_in("p-1")
    await browser.go("/files/new")
    await browser.submit(
        "/files/new",
        post_id="ITT-SO-ADMN2",
        file_no="F.No.2(1)/2026",
        subject="چھٹی کی درخواست <b>",
        classification="UNCLASSIFIED",
        priority="ROUTINE",
        note="First note.",
    )
    assert browser.place == "/f/ITT-2026-000002"
    assert "چھٹی کی درخواست &lt;b&gt;" in browser.page
    place = browser.place
    await browser.submit(f"{place}/put-up", **PUT_UP)
    assert (browser.status, browser.place) == (200, place)
    assert "2/N" in browser.page
    assert 'data-post="ITT-DS-ADMN"' in browser.page
    await browser.submit("/sign-out")
    await browser.sign_in("p-2")
    assert "F.No.2(1)/2026" in browser.page
    await browser.go(place)
    await browser.submit(
        f"{place}/approve", post_id="ITT-DS-ADMN", movement_no="1", remarks="As proposed."
    )
    assert "Approved. As proposed." in browser.page
    file = await bridge.file("ITT-2026-000002")
    assert [line["outcome"] for line in file["decisions"]] == ["approved"]
    assert [line["channel"] for line in file["decisions"]] == ["web"]


async def test_a_form_without_the_token_of_the_page_does_nothing(browser: Any, bridge: Any) -> None:
    await browser.sign_in("p-1")
    for token in ({}, {"form_token": ""}, {"form_token": "0" * 64}, {"form_token": "چ"}):
        async with browser.http.post(
            f"{browser.url}{PAGE}/put-up", data={**PUT_UP, **token}
        ) as response:
            assert response.status == 403
    assert (await bridge.file())["movement_no"] == 0


async def test_the_form_token_of_another_visitor_does_nothing(
    browser: Any, office: Serving, bridge: Any
) -> None:
    async with (
        aiohttp.ClientSession() as other,
        other.get(f"{office.url}/sign-in") as response,
    ):
        page = await response.text()
    token = re.search(r'name="form_token" value="([0-9a-f]+)"', page)
    assert token is not None
    await browser.sign_in("p-1")
    data = {**PUT_UP, "form_token": token[1]}
    async with browser.http.post(f"{browser.url}{PAGE}/put-up", data=data) as response:
        assert response.status == 403
    assert (await bridge.file())["movement_no"] == 0


async def test_signing_in_gives_a_new_token_and_signing_out_ends_it(
    browser: Any, http: aiohttp.ClientSession
) -> None:
    def cookie() -> str:
        (morsel,) = browser.http.cookie_jar
        assert (morsel["httponly"], morsel["samesite"]) == (True, "Lax")
        return str(morsel.value)

    await browser.go("/sign-in")
    before = cookie()
    await browser.sign_in("p-1")
    during = cookie()
    assert before != during
    await browser.submit("/sign-out")
    async with http.get(
        f"{browser.url}/", headers={"Cookie": f"eoffice={during}"}, allow_redirects=False
    ) as response:
        assert response.status == 303
        assert response.headers["Location"] == "/sign-in?next=/"


@pytest.mark.parametrize("person", ["p-1", "p-nobody"])
async def test_a_wrong_password_is_refused_in_the_same_words(browser: Any, person: str) -> None:
    await browser.go("/sign-in")
    await browser.submit("/sign-in", person_id=person, password="wrong", next="/")
    assert browser.status == 401
    assert "Person or password is wrong." in browser.page


async def test_guessing_is_stopped_for_a_while(browser: Any, clock: Any) -> None:
    await browser.go("/sign-in")
    for _ in range(10):
        await browser.submit("/sign-in", person_id="p-1", password="wrong", next="/")
    right = {"person_id": "p-1", "password": "p-1-has-a-password", "next": "/"}
    await browser.submit("/sign-in", **right)
    assert browser.status == 429
    clock.pass_(minutes=6)
    await browser.submit("/sign-in", **right)
    assert "Inbox of" in browser.page


async def test_a_session_ends_after_its_hours(browser: Any, clock: Any) -> None:
    await browser.sign_in("p-1")
    clock.pass_(hours=9)
    await browser.go("/")
    assert browser.place == "/sign-in"


@pytest.mark.parametrize(
    ("goal", "place"),
    [(PAGE, PAGE), ("//evil.test/", "/"), ("/\\evil.test", "/"), ("https://evil.test/", "/")],
)
async def test_signing_in_leads_to_our_own_pages_only(browser: Any, goal: str, place: str) -> None:
    await browser.go("/sign-in")
    token = re.search(r'name="form_token" value="([0-9a-f]+)"', browser.page)
    assert token is not None
    form = {"person_id": "p-1", "password": "p-1-has-a-password", "next": goal}
    async with browser.http.post(
        f"{browser.url}/sign-in", data={"form_token": token[1], **form}, allow_redirects=False
    ) as response:
        assert (response.status, response.headers["Location"]) == (303, place)


async def test_a_stale_page_does_not_decide_again(browser: Any, bridge: Any) -> None:
    await browser.sign_in("p-1")
    await browser.go(PAGE)
    await browser.submit(f"{PAGE}/put-up", **PUT_UP)
    await browser.submit(f"{PAGE}/put-up", **PUT_UP)
    assert browser.status == 409
    assert "stale-movement" in browser.page
    assert (await bridge.file())["movement_no"] == 1


async def test_opening_the_page_receives_the_file_and_ends_pulling_back(
    browser: Any, bridge: Any
) -> None:
    await browser.sign_in("p-1")
    await browser.go(PAGE)
    await browser.submit(f"{PAGE}/put-up", **PUT_UP)
    assert "Pull back" in browser.page
    assert (await bridge.file())["received"] is False
    await browser.submit("/sign-out")
    await browser.sign_in("p-2")
    await browser.go(PAGE)
    assert (await bridge.file())["received"] is True
    assert (await bridge.events())[-1]["type"] == "eoffice.file.received.v1"
    await browser.submit("/sign-out")
    await browser.sign_in("p-1")
    await browser.go(PAGE)
    assert "Pull back" not in browser.page


async def test_an_unread_file_is_pulled_back_from_its_page(browser: Any, bridge: Any) -> None:
    await browser.sign_in("p-1")
    await browser.go(PAGE)
    await browser.submit(f"{PAGE}/put-up", **PUT_UP)
    await browser.submit(f"{PAGE}/pull-back", post_id="ITT-SO-ADMN2", movement_no="1")
    assert (await bridge.file())["holder"] == "ITT-SO-ADMN2"


async def test_a_file_is_shown_only_to_posts_that_it_has_been_with(browser: Any) -> None:
    await browser.sign_in("p-2")
    await browser.go(PAGE)
    assert browser.status == 404
    assert "Procurement" not in browser.page
    await browser.submit(f"{PAGE}/put-up", **{**PUT_UP, "post_id": "ITT-DS-ADMN"})
    assert browser.status == 404


async def test_a_look_after_holder_is_offered_no_decision(browser: Any) -> None:
    await browser.sign_in("p-1")
    await browser.go(PAGE)
    await browser.submit(f"{PAGE}/put-up", **{**PUT_UP, "to_post": "ITT-JS"})
    await browser.submit("/sign-out")
    await browser.sign_in("p-3")
    await browser.go(PAGE)
    assert "You look after this post" in browser.page
    assert "/approve" not in browser.page
    await browser.submit(f"{PAGE}/approve", post_id="ITT-JS", movement_no="1")
    assert browser.status == 403
    assert "look-after-may-not-decide" in browser.page


async def test_every_answer_forbids_scripts_and_frames(office: Serving, browser: Any) -> None:
    for path in ("/", "/sign-in", "/static/style.css", "/no-such-page", "/events", "/health"):
        async with browser.http.get(office.url + path) as response:
            policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
    assert "<script" not in browser.page


async def test_the_page_of_a_file_takes_nothing_from_elsewhere(browser: Any) -> None:
    await browser.sign_in("p-1")
    await browser.go(PAGE)
    assert re.findall(r'(?:src|href|action)="(?!/|#)[^"]*"', browser.page) == []
    labels = set(re.findall(r'<label for="([^"]+)"', browser.page))
    fields = re.findall(
        r'<(?:input|select|textarea)(?! type="hidden")[^>]*\bid="([^"]+)"', browser.page
    )
    assert set(fields) == labels
