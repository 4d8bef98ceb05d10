"""The register as scim2-server's own suite for storages sees it, and what it owes its audit."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from scim2_models import ScimProvider
from scim2_server.testing import ScimStorageContract
from staff_service import now

from rabta_staff.notes import Note
from rabta_staff.register import Register
from rabta_staff.shapes import PERSON, PERSON_TYPE, provider


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Register]:
    """An empty register that is audited to nobody."""
    made = Register(
        tmp_path / "staff.db",
        server_name="itt.gov.test",
        reserved=(),
        clock=now,
        audit=lambda _notes: None,
    )
    yield made
    made.close()


class TestRegister(ScimStorageContract):
    """Every rule that scim2-server asks a storage to keep."""

    @pytest.fixture(autouse=True)
    def provider(self) -> Iterator[ScimProvider]:
        made = provider()
        # As the service does: what is not kept is passed over.
        with made:
            yield made


def test_an_act_that_no_audit_tells_does_not_happen(tmp_path: Path) -> None:
    def full(_notes: list[Note]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    register = Register(
        tmp_path / "staff.db", server_name="itt.gov.test", reserved=(), clock=now, audit=full
    )
    with pytest.raises(OSError, match="No space"), register.operation():
        register.create(PERSON_TYPE, PERSON(user_name="ayesha"))
    assert list(register.all_users()) == []
    assert register.accounts == {}
    register.close()
