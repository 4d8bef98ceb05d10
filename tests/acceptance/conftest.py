"""One network for all acceptance tests: started once, as `rabta demo` starts it."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from rabta_deploy.eoffice_person import Clerk
from rabta_deploy.network import Network
from rabta_deploy.story import SECTION_OFFICER


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


@dataclass(frozen=True)
class PutUp:
    """A file that the section officer has put up."""

    file_id: str
    number: str
    subject: str


@pytest.fixture(scope="session")
def put_up(network: Network, clerk: Callable[[str], Clerk]) -> Callable[..., PutUp]:
    """Open a file as the section officer and put it up to a post."""
    numbers = itertools.count(101)

    def act(to_post: str, *, classification: str = "RESTRICTED", **further: Any) -> PutUp:
        number = next(numbers)
        author = clerk(SECTION_OFFICER)
        post = network.accounts[SECTION_OFFICER].post_id
        file_no, subject = f"F.No.{number}(5)/2026-Admn-II", f"Purchase-of-lot-{number}-of-kites"
        file_id = author.open_file(post, file_no, subject, classification=classification, **further)
        author.act(file_id, "put-up", post, to_post=to_post, note="For approval, please.")
        return PutUp(file_id, file_no, subject)

    return act
