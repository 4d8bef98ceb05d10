"""Documents end to end: e-Office, bridge, Synapse and a strict second client; all are real."""

import hashlib
import http.client
import os
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from rabta_deploy.clamav import EICAR
from rabta_deploy.eoffice_person import Clerk
from rabta_deploy.network import Network
from rabta_deploy.story import DEPUTY_SECRETARY, SECTION_OFFICER, find_card, signed_in

pytestmark = pytest.mark.network

WITHIN_S = 60
SECTION, DEPUTY = "ITT-SO-ADMN2", "ITT-DS-ADMN"
URDU = "نوٹ شیٹ نمبر ۵.pdf"
# More than two of the chunks in which a document is encrypted.
LARGE = b"%PDF-1.4 " + os.urandom(2_500_000)


async def test_a_document_arrives_whole_in_the_officers_client_and_one_of_his_on_the_file(
    network: Network, clerk: Callable[[str], Clerk], missing_part: Callable[[str], Any]
) -> None:
    author, bot = clerk(SECTION_OFFICER), network.bot_user_id
    number = "F.No.9(5)/2026-Documents"
    file_id = author.open_file(SECTION, number, "Documents of a kite", classification="RESTRICTED")
    told = author.attach(file_id, SECTION, URDU, "application/pdf", LARGE)
    author.attach(file_id, SECTION, "virus.pdf", "application/pdf", b"%PDF-1.4 " + EICAR)
    author.act(file_id, "put-up", SECTION, to_post=DEPUTY, note="Please see.")

    async with signed_in(network.accounts[DEPUTY_SECRETARY]) as officer:
        room, card = await find_card(officer, bot, number, within_s=WITHIN_S)
        document = await officer.wait_message(
            room, contains=URDU, after=card["event_id"], within_s=WITHIN_S
        )
        opened = await officer.open_file(room, document["event_id"])
        if "clamav" in network.children:
            refused = await officer.wait_message(
                room, event_id=card["event_id"], edited=True, within_s=WITHIN_S
            )
        else:
            missing_part("clamd is not installed (deploy/machine.sh tests)")

        sent = await officer.send_file(room, "میرا جواب.pdf", "application/pdf", b"%PDF-1.4 mine")
        said = await officer.send(room, f"file {number}", reply_to=sent)
        answer = await officer.wait_message(
            room, contains="میرا جواب.pdf", sender=bot, after=said, within_s=WITHIN_S
        )
        everything = await officer.messages(room, limit=200)

    digest = hashlib.sha256(LARGE).hexdigest()
    assert opened == {"name": URDU, "size": len(LARGE), "sha256": digest}
    assert told["sha256"] == digest
    assert (document["encrypted"], document["shield"]) == (True, "none")
    assert document["reply_to"] == card["event_id"]
    assert "[document-infected]" in refused["body"]
    attached = [one["body"] for one in everything if "file" in one["content"]]
    assert attached == [URDU, "میرا جواب.pdf"]

    assert answer["shield"] == "none"
    kept = author.file(file_id)["documents"]
    assert [one["name"] for one in kept] == [URDU, "virus.pdf", "میرا جواب.pdf"]
    assert kept[-1]["sha256"] == hashlib.sha256(b"%PDF-1.4 mine").hexdigest()
    assert (kept[-1]["channel"], kept[-1]["post_id"]) == ("chat", DEPUTY)


def test_the_bridge_logs_and_measures_and_tells_nothing_of_what_it_carried(
    network: Network,
) -> None:
    url = network.office.bridge_url.removeprefix("http://")
    told = (network.home / "bridge/bridge.log").read_text(encoding="utf-8")
    assert "bridge-ready" in told
    for path in ("/metrics", "/health/ready"):
        with closing(http.client.HTTPConnection(url)) as connection:
            connection.request("GET", path)
            told += connection.getresponse().read().decode()
    assert "rabta_bridge_documents_total" in told
    officers = [account.user_id.partition(":")[0] for account in network.accounts.values()]
    for word in ("kite", "F.No.", "virus.pdf", "نوٹ شیٹ", "Please see", SECTION, *officers):
        assert [line for line in told.splitlines() if word in line] == []
