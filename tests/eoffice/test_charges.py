"""Charges are dated, kept by the Establishment, told at once, and end by themselves."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rabta_contract import event_of

BY = {"by_post": "ITT-SO-ESTT"}
NEW = {
    **BY,
    "post_id": "ITT-DS-ADMN",
    "person_id": "p-5",
    "kind": "look_after",
    "from": "2026-07-14T15:00:00+05:00",
    "until": "2026-07-14T16:00:00+05:00",
    "order_no": "F.1-3/2026-Estt",
}


async def test_the_establishment_posts_a_person_and_it_is_told(
    person: Callable[[str], Awaitable[Any]], bridge: Any
) -> None:
    establishment = await person("p-4")
    status, made = await establishment.post("/api/charges", NEW)
    assert (status, made["kind"]) == (201, "look_after")
    told = event_of((await bridge.events())[-1])
    assert told.type == "eoffice.charge.assumed.v1"
    charge = told.data.charge
    assert charge is not None
    assert (charge.person_id, charge.decides, charge.order_no) == (
        "p-5",
        False,
        "F.1-3/2026-Estt",
    )


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"by_post": "ITT-SO-ADMN2"}, 403, "not-establishment"),
        ({"post_id": "ITT-NOBODY"}, 404, "unknown-post"),
        ({"person_id": "p-nobody"}, 404, "unknown-person"),
        ({"until": "2026-07-14T14:00:00+05:00"}, 400, "malformed"),
        ({"until": None}, 400, "malformed"),
        ({"kind": "current", "until": "2027-07-14T14:00:00+05:00"}, 400, "malformed"),
        ({"person_id": "p-2", "kind": "regular"}, 409, "charge-overlaps"),
        ({"kind": "sometimes"}, 400, "malformed"),
        ({"from": "yesterday"}, 400, "malformed"),
    ],
)
async def test_an_unsound_charge_is_refused(
    person: Callable[[str], Awaitable[Any]],
    bridge: Any,
    changes: dict[str, Any],
    status: int,
    reason: str,
) -> None:
    establishment = await person("p-4")
    answered, answer = await establishment.post("/api/charges", {**NEW, **changes})
    assert (answered, answer["reason"]) == (status, reason)
    assert len(await bridge.events()) == 5


async def test_a_relinquished_charge_takes_the_powers_along_at_once(
    person: Callable[[str], Awaitable[Any]], bridge: Any, command_for: Any
) -> None:
    officer, establishment = await person("p-1"), await person("p-4")
    await officer.act("put-up", "ITT-SO-ADMN2", to_post="ITT-DS-ADMN")
    status, ended = await establishment.post("/api/charges/2/relinquish", BY)
    assert (status, ended["person_id"]) == (200, "p-2")
    told = event_of((await bridge.events())[-1])
    assert told.type == "eoffice.charge.relinquished.v1"
    assert told.data.charge is not None
    assert told.data.charge.until == bridge.clock()
    status, answer, _ = await bridge.command(command_for("approve"))
    assert (status, answer["reason"]) == (403, "wrong-holder")
    for charge_id, expected in ((2, (409, "charge-ended")), (99, (404, "unknown-charge"))):
        status, answer = await establishment.post(f"/api/charges/{charge_id}/relinquish", BY)
        assert (status, answer["reason"]) == expected


async def test_a_charge_that_runs_out_is_told_once(
    person: Callable[[str], Awaitable[Any]], bridge: Any, clock: Any, eventually: Any
) -> None:
    establishment = await person("p-4")
    assert (await establishment.post("/api/charges", NEW))[0] == 201
    clock.pass_(hours=2)

    async def told() -> bool:
        return len(await bridge.events()) >= 7

    await eventually(told, what="the end of the charge")
    ends = [event_of(event) for event in (await bridge.events())[6:]]
    assert [event.type for event in ends] == ["eoffice.charge.relinquished.v1"]
    assert ends[0].data.charge is not None
    assert ends[0].data.charge.person_id == "p-5"


async def test_the_register_is_kept_on_its_page(browser: Any, bridge: Any) -> None:
    await browser.sign_in("p-4")
    await browser.go("/charges")
    assert "عائشہ ملک" in browser.page
    form = {**NEW, "from": "2026-07-14T15:00", "until": "2026-07-14T16:00"}
    await browser.submit("/charges", **form)
    assert (browser.status, browser.place) == (200, "/charges")
    charge = event_of((await bridge.events())[-1]).data.charge
    assert charge is not None
    assert charge.from_.isoformat() == "2026-07-14T10:00:00+00:00"
    await browser.submit("/charges/5/relinquish", **BY)
    assert (await bridge.events())[-1]["type"] == "eoffice.charge.relinquished.v1"
    await browser.submit("/charges", **{**form, "kind": "sometimes"})
    assert browser.status == 400


async def test_others_see_the_register_and_change_nothing(browser: Any, bridge: Any) -> None:
    await browser.sign_in("p-1")
    await browser.go("/charges")
    assert "Assume a charge" not in browser.page
    await browser.submit("/charges/1/relinquish", by_post="ITT-SO-ADMN2")
    assert browser.status == 403
    assert len(await bridge.events()) == 5
