"""Destroys what its time has come for, room by room: gather, decide, act, and an audit line each.

The register of holds is read again before every room, so a hold stops a run that is under way.
One room that fails stops no other; a register that cannot be read stops all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rabta_audit import Journal, Record
from rabta_deploy.records.deciding import Keep, Lifetimes, Purge, RecordRoom, decide, media_before
from rabta_deploy.records.homeserver import HomeserverError, RecordsHomeserver
from rabta_deploy.records.register import Register
from rabta_policy.record import RecordCategory


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a site wants kept.

    Attributes:
        lifetimes: Of what is said in rooms.
        copies: How long a copy of other servers' media that nobody uses is kept.
        server_name: Of the site.
        bridge: User id of its e-Office bridge.
    """

    lifetimes: Lifetimes
    copies: timedelta
    server_name: str
    bridge: str


@dataclass(slots=True)
class Report:
    """What a run did, or would do.

    Attributes:
        purged: Rooms of which something was destroyed, with the time before which.
        kept: Rooms of which nothing may be destroyed, with the reason and the holds.
        nothing: How many rooms held nothing of that age.
        failed: Rooms that could not be dealt with, with the reason; the next run tries again.
        media_before: Files of our people that nobody used since may be destroyed; None: none may.
        media: How many were.
        copies_before: The same of copies of other servers' files.
        copies: How many were.
    """

    purged: dict[str, str] = field(default_factory=dict)
    kept: dict[str, tuple[str, ...]] = field(default_factory=dict)
    nothing: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    media_before: str | None = None
    media: int = 0
    copies_before: str | None = None
    copies: int = 0


class Purging:
    """One site's runs.

    Args:
        homeserver: Asked and told.
        register: Its holds.
        wanted: What is kept how long.
        journal: Gets a line for everything that is destroyed.
        clock: The time, with its zone.
    """

    def __init__(
        self,
        homeserver: RecordsHomeserver,
        register: Register,
        wanted: Wanted,
        journal: Journal,
        clock: Callable[[], datetime],
    ) -> None:
        self._homeserver = homeserver
        self._register = register
        self._wanted = wanted
        self._journal = journal
        self._clock = clock

    def run(self, *, dry: bool = False) -> Report:
        """Go through all rooms once.

        Args:
            dry: Destroy nothing; tell what would be.

        Raises:
            RegisterError: The register cannot be used; nothing more is destroyed.
            HomeserverError: The rooms cannot be listed.
        """
        report = Report()
        decisions = [
            self._room(room_id, report, dry=dry) for room_id in list(self._homeserver.rooms())
        ]
        self._media(decisions, report, dry=dry)
        return report

    def _room(self, room_id: str, report: Report, *, dry: bool) -> Purge | Keep:
        try:
            room = self._homeserver.room(room_id)
            decision = self._decide(room)
            old = isinstance(decision, Purge) and self._homeserver.has_something_before(
                room_id, decision.before, self._clock()
            )
            # Asked again at the last moment: a hold may have come meanwhile.
            decision = self._decide(room) if old else decision
            if isinstance(decision, Keep):
                report.kept[room_id] = (decision.reason, *decision.holds)
            elif not old:
                report.nothing += 1
            else:
                if not dry:
                    # The line first: what cannot be written down is not destroyed.
                    self._note("purge-room", decision.before, room_id, room.category)
                    self._homeserver.purge(room_id, decision.before)
                report.purged[room_id] = f"{decision.before:%FT%TZ}"
        except HomeserverError as fault:
            report.failed[room_id] = fault.reason
            return Keep(RecordRoom(room_id, None, frozenset(), home=None), fault.reason)
        return decision

    def _decide(self, room: RecordRoom) -> Purge | Keep:
        wanted = self._wanted
        return decide(room, wanted.lifetimes, self._register.holds(), wanted.bridge, self._clock())

    def _media(self, decisions: Sequence[Purge | Keep], report: Report, *, dry: bool) -> None:
        holds, now = self._register.holds(), self._clock()
        if any(hold.in_force(now) for hold in holds):
            return
        before, copies_before = media_before(decisions, holds, now), now - self._wanted.copies
        report.media_before = f"{before:%FT%TZ}" if before else None
        report.copies_before = f"{copies_before:%FT%TZ}"
        if dry:
            return
        if before is not None:
            self._note("purge-media", before)
            report.media = self._homeserver.purge_media(before)
        self._note("purge-copies", copies_before)
        report.copies = self._homeserver.purge_copies(copies_before)

    def _note(
        self,
        action: str,
        before: datetime,
        room_id: str | None = None,
        category: RecordCategory | None = None,
    ) -> None:
        self._journal.append(
            Record(
                time=self._clock(),
                serial=0,
                path="records",
                action=action,
                verdict="noted",
                origin=self._wanted.server_name,
                room=room_id,
                rules=(f"category {category or 'none'}", f"before {before:%FT%TZ}"),
            )
        )
        self._journal.sync()
