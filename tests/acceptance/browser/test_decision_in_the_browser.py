"""The story as persons see it: e-Office's pages and the officer's page, in a real Chromium.

With RABTA_SCREENSHOTS=1 the pictures of docs/start are taken anew.
"""

import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from rabta_deploy.accounts import Account
from rabta_deploy.eoffice_person import Clerk
from rabta_deploy.network import Network
from rabta_deploy.story import DEPUTY_SECRETARY, LOOKING_AFTER, SECTION_OFFICER

pytestmark = [pytest.mark.network, pytest.mark.asyncio(loop_scope="module")]

IMAGES = Path(__file__).parents[3] / "docs" / "start" / "images"
CONTEXT: Any = {"viewport": {"width": 1100, "height": 760}, "timezone_id": "Asia/Karachi"}
CARD_MS = 60_000


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[Page, str], Awaitable[bytes]]:
    """Take a picture; it goes into the docs only when that is asked for."""
    directory = IMAGES if os.environ.get("RABTA_SCREENSHOTS") == "1" else tmp_path

    async def take(page: Page, name: str) -> bytes:
        return await page.screenshot(path=directory / f"{name}.png")

    return take


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> Any:
    async with await browser.new_context(**CONTEXT) as context:
        yield await context.new_page()


async def sign_in_to_eoffice(page: Page, network: Network, account: Account) -> None:
    await page.goto(f"{network.office.eoffice_url}/sign-in")
    await page.get_by_label("Person number").fill(account.person_id)
    await page.get_by_label("Password").fill(account.password)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("heading", name="Inbox of").wait_for()


async def open_file(page: Page, network: Network, file_no: str, subject: str) -> str:
    """Open a file in e-Office's pages; returns its id."""
    await page.goto(f"{network.office.eoffice_url}/files/new")
    await page.get_by_label("File number").fill(file_no)
    await page.get_by_label("Subject").fill(subject)
    await page.get_by_label("Classification").select_option("RESTRICTED")
    await page.get_by_label("First note").fill("The three lowest bids are placed below.")
    await page.get_by_role("button", name="Open the file").click()
    await page.get_by_role("heading", name=subject).wait_for()
    return page.url.rstrip("/").rpartition("/")[2]


async def put_up(page: Page, post_id: str, note: str) -> None:
    await page.get_by_label(re.compile(r"^Note \(paragraph")).fill(note)
    await page.get_by_label("To", exact=True).select_option(post_id)
    await page.get_by_label("Remarks to the addressee").fill("For approval, please.")
    await page.get_by_role("button", name="Send").click()
    await page.locator("#holder").wait_for()


async def enter_chat(page: Page, network: Network, account: Account) -> None:
    """Sign in on the officer's page and have the new device signed."""
    await page.goto(network.page_url)
    await page.get_by_label("User name").fill(account.localpart)
    await page.get_by_label("Password").fill(account.password)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("Recovery key").fill(account.recovery_key)
    await page.get_by_role("button", name="Sign this device").click()
    await page.get_by_text("signed by its owner").wait_for()


async def open_card(page: Page, text: str) -> Any:
    """Enter the bridge's room, invited or joined before, and find the card that holds `text`."""
    await page.locator(".invite .accept, .room").first.click(timeout=CARD_MS)
    card = page.locator(".timeline > li.theirs").filter(has_text=text).first
    await card.wait_for(timeout=CARD_MS)
    return card


async def test_a_file_put_up_in_eoffice_is_approved_in_the_officers_page(
    browser: Browser, page: Page, network: Network, clerk: Callable[[str], Clerk], picture: Any
) -> None:
    author, secretary = network.accounts[SECTION_OFFICER], network.accounts[DEPUTY_SECRETARY]
    file_no, subject = "F.No.7(12)/2026-Admn-II", "Purchase of fourteen laptops"
    await sign_in_to_eoffice(page, network, author)
    file_id = await open_file(page, network, file_no, subject)
    await put_up(page, secretary.post_id, "Approval of the lowest bid is requested, please.")
    assert await page.locator("#holder").get_attribute("data-post") == secretary.post_id
    await picture(page, "eoffice-file")

    async with await browser.new_context(**CONTEXT) as context:
        chat = await context.new_page()
        await enter_chat(chat, network, secretary)
        card = await open_card(chat, file_no)
        assert await card.locator(".warning").count() == 0
        await picture(chat, "card-english")
        await card.get_by_role("button", name="Reply").click()
        await chat.keyboard.type("approve")
        await chat.keyboard.press("Enter")
        question = chat.locator(".timeline > li.theirs").filter(has_text=re.compile(r"yes \d{4}"))
        await question.last.wait_for(timeout=CARD_MS)
        code = re.search(r"yes \d{4}", await question.last.locator(".body").inner_text())
        assert code is not None
        await picture(chat, "confirmation")
        await chat.get_by_label("Message", exact=True).fill(code.group())
        await chat.get_by_role("button", name="Send", exact=True).click()
        await card.get_by_text("edited").wait_for(timeout=CARD_MS)
        await card.scroll_into_view_if_needed()
        await picture(chat, "card-outcome")
        assert "pproved" in await card.locator(".body").inner_text()

    state = await clerk(SECTION_OFFICER).wait_file(file_id, decided="approved", within_s=10)
    ledger = [row for row in state["decisions"] if row["outcome"] == "approved"]
    assert [row["matrix_user"] for row in ledger] == [secretary.user_id]
    await page.reload()
    await page.locator("#n3").get_by_text("Approved.").wait_for()
    await picture(page, "eoffice-approved")


async def test_an_officer_who_reads_urdu_gets_an_urdu_card(
    browser: Browser, page: Page, network: Network, picture: Any
) -> None:
    author, officer = network.accounts[SECTION_OFFICER], network.accounts[LOOKING_AFTER]
    file_no = "F.No.8(3)/2026-Admn-II"
    await sign_in_to_eoffice(page, network, author)
    await open_file(page, network, file_no, "سرکاری ویب گاہ کی تجدید")
    await put_up(page, officer.post_id, "منظوری درکار ہے۔")
    async with await browser.new_context(**CONTEXT) as context:
        chat = await context.new_page()
        await enter_chat(chat, network, officer)
        await chat.get_by_role("button", name="اردو").click()
        card = await open_card(chat, file_no)
        first = card.locator(".body p").first
        assert await first.evaluate("p => getComputedStyle(p).direction") == "rtl"
        await picture(chat, "card-urdu")
