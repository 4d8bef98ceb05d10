"""Two trial sites as `rabta site` makes them: what two ministries do, through five workers each."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from matrix_person import Person

from rabta_deploy.authority import NetworkAuthority
from rabta_deploy.fault import YardError
from rabta_deploy.process import until
from rabta_deploy.site.layout import below
from rabta_deploy.site.reading import load
from rabta_deploy.site.running import Running, require_programs

pytestmark = [pytest.mark.network, pytest.mark.drill]

RABTA = (sys.executable, "-m", "rabta_deploy.cli")
MINISTRIES = {"ITT": "itt.gov.test", "FIN": "fin.gov.test"}


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    # Below /tmp itself: user postgres must pass through every directory above.
    with TemporaryDirectory(prefix="rabta-sites-") as name:
        path = Path(name)
        path.chmod(0o711)
        yield path


def rabta(*arguments: object) -> str:
    done = subprocess.run(
        [*RABTA, *(str(one) for one in arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sites(home: Path, missing_part: Callable[[str], None]) -> Iterator[dict[str, Running]]:
    found = {}
    with ExitStack() as stack:
        for code, name in MINISTRIES.items():
            rabta(
                *("site", "init", "--trial", "--organisation", code, "--server-name", name),
                *("--network", home / "network", home / code),
            )
        for code in MINISTRIES:
            file = home / code / "site.yaml"
            rabta("site", "render", file, home / code / "out")
            rabta("site", "secrets", file, "--root", home / code)
            told = json.loads(rabta("site", "preflight", file, "--root", home / code, "--json"))
            assert [one for one in told if one["severity"] == "error"] == []
            running = Running(load(file), below(home / code))
            try:
                require_programs(running.parts.values())
            except YardError as fault:
                missing_part(str(fault))
            stack.callback(running.down)
            begun = datetime.now(UTC)  # noqa: TID251 - the issue's three minutes
            running.up()
            assert (datetime.now(UTC) - begun).total_seconds() < 180  # noqa: TID251 - as above
            found[code] = running
        yield found


@pytest.fixture(scope="module")
def people(sites: dict[str, Running]) -> tuple[Person, Person]:
    return Person(sites["ITT"], "amna"), Person(sites["FIN"], "farah")


def test_officers_of_two_sites_share_a_room(people: tuple[Person, Person]) -> None:
    amna, farah = people
    room = amna.create_room()
    farah.comes(room, amna)
    amna.say(room, "one")
    assert farah.hears(room, "one")
    farah.say(room, "two")
    assert amna.hears(room, "two")


def test_a_site_that_the_policy_withdraws_is_out_and_comes_back_by_invitation(
    people: tuple[Person, Person], home: Path
) -> None:
    amna, farah = people
    room = amna.create_room()
    farah.comes(room, amna)
    # Only now her homeserver has the room whole; Synapse fetches its members after the join.
    amna.say(room, "before")
    assert farah.hears(room, "before")
    authority = NetworkAuthority(home / "network" / "policy")
    document = authority.published
    alone = {
        **document,
        "organisations": [
            {**one, "status": "suspended"} if one["code"] == "FIN" else one
            for one in document["organisations"]
        ],
    }
    now = datetime.now(UTC)  # noqa: TID251 - the sites' doors live today
    authority.publish(alone, now=now)
    assert until(lambda: amna.members(room).get(farah.user_id) == "leave", within_s=30)
    # Nothing reaches it any more, the kick neither: its own homeserver takes it out.
    assert until(lambda: room not in farah.rooms(), within_s=30)
    amna.say(room, "alone")
    assert "alone" not in farah.heard(room)
    authority.publish(document, now=now)
    assert until(lambda: amna.invite(room, farah.user_id).status == 200, within_s=30)
    assert until(lambda: farah.join(room).status == 200, within_s=30)
    amna.say(room, "again")
    assert farah.hears(room, "again")
