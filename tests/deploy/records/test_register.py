"""The register of holds: nothing is destroyed by a register that is not whole."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from rabta_audit import chains, read_lines, verify
from rabta_deploy.records.hold import Hold, Lift
from rabta_deploy.records.register import Register, RegisterError

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
ROOM = "!dissolved:itt.gov.test"


def asked(kind: str = "room", subject: str = ROOM, until: datetime | None = None) -> Hold:
    return TypeAdapter(Hold).validate_python(
        {
            "id": "H0000",
            "kind": kind,
            "subject": subject,
            "order": "1-5/2026(Inq)",
            "by": "Amna, SO (R)",
            "at": NOW,
            "until": until,
        }
    )


def lifting(countersigned: str = "Bilal, DS (Admn)") -> Lift:
    return Lift(order="1-9/2026", by="Amna, SO (R)", countersigned=countersigned, at=NOW)


@pytest.fixture
def register(tmp_path: Path) -> Register:
    made = Register(tmp_path / "records", "itt.gov.test")
    made.open("Amna, SO (R)", NOW)
    return made


def test_a_hold_is_in_force_until_two_officers_lift_it(register: Register) -> None:
    first = register.place(asked(), NOW)
    second = register.place(asked("person", "@bilal:itt.gov.test"), NOW)
    assert [first.id, second.id] == ["H0001", "H0002"]
    assert [hold.in_force(NOW) for hold in register.holds()] == [True, True]

    with pytest.raises(RegisterError) as refused:
        register.lift("H0001", lifting(countersigned="amna, so (r)"))
    assert refused.value.reason == "second-person-missing"
    register.lift("H0001", lifting())

    assert [hold.in_force(NOW) for hold in register.holds()] == [False, True]
    with pytest.raises(RegisterError) as refused:
        register.lift("H0001", lifting())
    assert refused.value.reason == "hold-lifted-already"
    with pytest.raises(RegisterError) as refused:
        register.lift("H0003", lifting())
    assert refused.value.reason == "hold-unknown"


def test_a_hold_with_an_end_ends_by_itself(register: Register) -> None:
    hold = register.place(asked(until=NOW + timedelta(days=30)), NOW)
    assert hold.in_force(NOW + timedelta(days=29))
    assert not hold.in_force(NOW + timedelta(days=30))
    with pytest.raises(RegisterError) as refused:
        register.place(asked(until=NOW), NOW)
    assert refused.value.reason == "hold-until-past"


def test_every_act_on_a_hold_stands_in_the_audit(register: Register) -> None:
    register.place(asked(), NOW)
    register.lift("H0001", lifting())
    lines = list(read_lines(chains(register.audit)["holds"]))
    assert verify(lines)[1] == []
    told = b"".join(lines)
    assert all(word in told for word in (b"place-hold", b"1-5/2026(Inq)", b"lift-hold", b"Bilal"))


def lose_the_file(directory: Path) -> None:
    (directory / "holds/H0001.json").unlink()


def empty_the_file(directory: Path) -> None:
    (directory / "holds/H0001.json").write_text("")


def name_another(directory: Path) -> None:
    (directory / "holds/H0001.json").rename(directory / "holds/H0002.json")


def lift_by_hand(directory: Path) -> None:
    file = directory / "holds/H0001.json"
    hold = Hold.model_validate_json(file.read_text())
    file.write_text(hold.model_copy(update={"lift": lifting()}).model_dump_json())


def cut_the_chain(directory: Path) -> None:
    (chain,) = (directory / "audit").glob("holds-*.jsonl")
    chain.write_bytes(chain.read_bytes().splitlines(keepends=True)[0])


@pytest.mark.parametrize(
    "harm", [lose_the_file, empty_the_file, name_another, lift_by_hand, cut_the_chain]
)
def test_a_register_that_is_not_as_the_chain_says_is_not_believed(
    register: Register, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    register.place(asked(), NOW)
    harm(tmp_path / "records")
    with pytest.raises(RegisterError) as refused:
        register.holds()
    assert refused.value.reason == "register-damaged"


def test_a_register_that_is_away_is_not_an_empty_one(tmp_path: Path, register: Register) -> None:
    with pytest.raises(RegisterError) as refused:
        Register(tmp_path / "elsewhere", "itt.gov.test").holds()
    assert refused.value.reason == "register-missing"
    register.place(asked(), NOW)
    lose_the_file(tmp_path / "records")
    (tmp_path / "records/holds").rmdir()
    with pytest.raises(RegisterError) as refused:
        register.holds()
    assert refused.value.reason == "register-missing"
    with pytest.raises(RegisterError) as refused:
        register.open("Amna, SO (R)", NOW)
    assert refused.value.reason == "register-open-already"
