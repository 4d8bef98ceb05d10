"""One network for all acceptance tests: started once, as `rabta demo` starts it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from rabta_deploy.eoffice_person import Clerk
from rabta_deploy.network import Network

# Persons of config/demo-directory.yaml.
SECTION_OFFICER = "p-10233"
DEPUTY_SECRETARY = "p-10040"
LOOKING_AFTER = "p-10077"
OTHER_MINISTRY = "p-20015"


def utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - real processes live in real time


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Two ministries with gateways, e-Office, bridge, officers and page; all real processes."""
    started = Network(tmp_path_factory.mktemp("network"), clock=utc_now)
    started.up()
    yield started
    started.down()


@pytest.fixture(scope="session")
def clerk(network: Network) -> Callable[[str], Clerk]:
    """A person signed in to e-Office."""

    def sign_in(person_id: str) -> Clerk:
        account = network.accounts[person_id]
        return Clerk(network.office.eoffice_url, person_id, account.password)

    return sign_in
