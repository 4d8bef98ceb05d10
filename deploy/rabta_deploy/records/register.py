"""The register of holds: one file for each, and an audit chain that no hold can vanish from.

Whoever destroys asks the register first. What cannot be read, or does not say what the chain says,
is an error, and then nothing is destroyed. It is opened once, by a person: a register that is
away is not an empty one.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from rabta_audit import Journal, JournalError, Record, chains, read_lines, verify
from rabta_audit.chain import unseal
from rabta_audit.journal import read_head
from rabta_deploy.fault import YardError
from rabta_deploy.records.hold import Hold, Lift
from rabta_deploy.secretfile import write_secret

_CHAIN = "holds"
_OPENED, _PLACED, _LIFTED = "open-register", "place-hold", "lift-hold"


class RegisterError(YardError):
    """The register cannot be used as it is; nothing is destroyed meanwhile."""


class Register:
    """The holds of a site.

    Args:
        directory: `records` below the site's state directory.
        server_name: Of the site, for the audit.
    """

    def __init__(self, directory: Path, server_name: str) -> None:
        self.audit = directory / "audit"
        self._holds = directory / "holds"
        self._directory = directory
        self._server_name = server_name

    def open(self, by: str, now: datetime) -> None:
        """Begin the register; without it nothing is ever destroyed.

        Raises:
            RegisterError: `register-open-already`.
        """
        if self._holds.exists() or self._chained():
            raise RegisterError(
                "register-open-already",
                f"{self._directory} holds a register, or the audit of one.",
                "use it as it is; if files of it are away, restore them from a backup",
            )
        self._holds.mkdir(parents=True, mode=0o700)
        with self._alone() as journal:
            journal.append(self._record(now, _OPENED, by))

    def place(self, asked: Hold, now: datetime) -> Hold:
        """Place a hold; its id is given here.

        Raises:
            RegisterError: As `holds`, or `hold-until-past`.
        """
        if asked.until is not None and asked.until <= now:
            raise RegisterError(
                "hold-until-past",
                "The hold would be over already.",
                "give a later --until, or none",
            )
        with self._alone() as journal:
            number = max((int(hold.id[1:]) for hold in self.holds()), default=0) + 1
            hold = asked.model_copy(update={"id": f"H{number:04}", "at": now})
            # The file first: should the line not be written, there is a hold too many.
            self._keep(hold)
            journal.append(self._record(now, _PLACED, hold.by, hold, hold.order))
        return hold

    def lift(self, hold_id: str, lift: Lift) -> Hold:
        """Lift a hold.

        Raises:
            RegisterError: As `holds`, or `hold-unknown`, `hold-lifted-already`,
                `second-person-missing`.
        """
        if lift.by.casefold() == lift.countersigned.casefold():
            raise RegisterError(
                "second-person-missing",
                "Whoever lifts a hold cannot countersign it.",
                "name another officer with --countersigned",
            )
        with self._alone() as journal:
            found = next((hold for hold in self.holds() if hold.id == hold_id), None)
            if found is None:
                raise RegisterError("hold-unknown", f"No hold {hold_id}.", "see `rabta hold list`")
            if found.lift is not None:
                raise RegisterError(
                    "hold-lifted-already", f"{hold_id} was lifted by {found.lift.by}.", "nothing"
                )
            lifted = found.model_copy(update={"lift": lift})
            # The line first: should the file not be written, the hold is still in force.
            journal.append(
                self._record(
                    lift.at, _LIFTED, f"{lift.by}, {lift.countersigned}", lifted, lift.order
                )
            )
            journal.sync()
            self._keep(lifted)
        return lifted

    def holds(self) -> list[Hold]:
        """Every hold that was ever placed, the first first.

        Raises:
            RegisterError: `register-missing`, `register-damaged`.
        """
        if not self._holds.is_dir() or not self._chained():
            raise RegisterError(
                "register-missing",
                f"{self._directory} holds no register of holds.",
                "open one with `rabta records open`, or restore it from a backup",
            )
        found = {hold.id: hold for hold in map(_read, sorted(self._holds.glob("*.json")))}
        standing, lifted = self._chain()
        away = sorted((standing | lifted) - found.keys())
        false = sorted(one.id for one in found.values() if one.lift and one.id not in lifted)
        if away or false:
            raise RegisterError(
                "register-damaged",
                f"Not as the audit chain says: {', '.join(away + false)}.",
                "restore the register from a backup",
            )
        return sorted(found.values(), key=lambda hold: int(hold.id[1:]))

    def _keep(self, hold: Hold) -> None:
        write_secret(self._holds / f"{hold.id}.json", hold.model_dump_json(indent=1) + "\n")

    def _chained(self) -> bool:
        return self.audit.is_dir() and _CHAIN in chains(self.audit)

    def _chain(self) -> tuple[set[str], set[str]]:
        """The ids that the chain says stand, and those it says were lifted."""
        files = chains(self.audit)[_CHAIN]
        _, broken = verify(read_lines(files), read_head(self.audit, _CHAIN))
        if broken:
            raise RegisterError(
                "register-damaged",
                f"The audit chain {_CHAIN} is broken: {broken[0].text}",
                "see `rabta audit verify`; restore the register from a backup",
            )
        records = [unseal(line)[0] for line in read_lines(files)]
        by_action = {
            action: {record.path.partition(":")[2] for record in records if record.action == action}
            for action in (_PLACED, _LIFTED)
        }
        return by_action[_PLACED] - by_action[_LIFTED], by_action[_LIFTED]

    @contextmanager
    def _alone(self) -> Iterator[Journal]:
        """The chain to write to, for one process at a time."""
        self.audit.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self._directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            journal = Journal(self.audit, _CHAIN)
            try:
                yield journal
            finally:
                journal.close()
        except JournalError as error:
            raise RegisterError(
                "register-damaged", str(error), "restore the register from a backup"
            ) from error
        finally:
            os.close(lock)

    def _record(
        self,
        now: datetime,
        action: str,
        by: str,
        hold: Hold | None = None,
        order: str | None = None,
    ) -> Record:
        return Record(
            time=now,
            serial=0,
            path=f"records:{hold.id}" if hold else "records",
            action=action,
            verdict="noted",
            origin=self._server_name,
            actor=by[:255],
            room=hold.subject if hold and hold.kind == "room" else None,
            ref=order,
        )


def _read(file: Path) -> Hold:
    try:
        hold = Hold.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise RegisterError(
            "register-damaged", f"{file} is no hold.", "restore the register from a backup"
        ) from error
    if file.stem != hold.id:
        raise RegisterError(
            "register-damaged", f"{file} holds {hold.id}.", "restore the register from a backup"
        )
    return hold
