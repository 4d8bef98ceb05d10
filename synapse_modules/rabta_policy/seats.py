"""Who speaks for a server, or under a code, at every moment: worked out once for a policy."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern

from rabta_policy.document import PolicyDocument
from rabta_policy.reasons import ReasonCode
from rabta_policy.registry import OrganisationEntry, Server
from rabta_policy.rights import RANK
from rabta_policy.states import Organisation, states
from rabta_policy.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Seat:
    """Who speaks for a server (or under a code) at a moment.

    What every decision needs stands here, so that the judge need not look further.

    Attributes:
        code, parent, kind: Of the organisation.
        rank: Its ceiling, as a place in the order of classes.
        barred: Why it cannot deal with other servers; empty when it can.
        groups: The groups it is in that permits name; most are in none.
        organisation: The organisation itself, or whoever follows it.
    """

    code: str
    parent: str | None
    kind: str
    rank: int
    barred: tuple[ReasonCode, ...]
    groups: tuple[str, ...]
    organisation: Organisation

    @property
    def parties(self) -> tuple[str, ...]:
        """Its code and its groups, as permits name them."""
        return (self.code, *self.groups)


class Seats:
    """Works out, for every organisation, who sits where from when on."""

    def __init__(self, document: PolicyDocument, servers: Mapping[str, Server]) -> None:
        self._entries = {entry.code: entry for entry in document.organisations}
        self._states = {code: Timeline(states(entry)) for code, entry in self._entries.items()}
        self._servers = servers
        self._phases = document.phases
        self._phase_moments = {
            moment
            for phase in document.phases.values()
            for moment in (phase.opens, phase.closes)
            if moment is not None
        }
        named = {
            party for permit in document.permits for party in (permit.origin, permit.destination)
        }
        self._groups: dict[str, list[str]] = defaultdict(list)
        for group, members in document.groups.items():
            if group in named:  # a group that no permit names costs nothing
                for member in dict.fromkeys(members):
                    self._groups[member].append(intern(group))

    def by_code(self) -> Iterator[tuple[str, Timeline[Seat]]]:
        """Every code with who stands under it, from when on."""
        for code, entry in self._entries.items():
            moments = sorted(self._moments(code) | self._phase_moments)
            yield code, Timeline((moment, self._seat(entry, moment)) for moment in moments)

    def _moments(self, code: str) -> set[datetime]:
        # Its own changes, and those of everyone who may come to follow it.
        found: set[datetime] = set()
        ahead, done = [code], set()
        while ahead:
            at = ahead.pop()
            if at in done:
                continue
            done.add(at)
            timeline = self._states[at]
            found.update(timeline.starts)
            ahead += [s for state in timeline.values if state for s in state.successors[:1]]
        return found

    def _seat(self, entry: OrganisationEntry, when: datetime) -> Seat | None:
        state = self._states[entry.code].at(when)
        if state is None:
            return None
        while state.status == "retired" and state.successors:
            follower = self._states[state.successors[0]].at(when)
            if follower is None:
                break
            state = follower
        return Seat(
            code=state.code,
            parent=state.parent,
            kind=state.kind,
            rank=RANK[state.ceiling],
            barred=tuple(self._barred(entry, state, when)),
            groups=tuple(self._groups.get(state.code, ())),
            organisation=state,
        )

    def _barred(
        self, entry: OrganisationEntry, state: Organisation, when: datetime
    ) -> Iterator[ReasonCode]:
        # R4.
        if state.status != "active":
            yield ReasonCode(f"organisation-{state.status}")
        # R5.
        phase = next((p for name, p in self._phases.items() if name == state.phase), None)
        if phase is None or when < phase.opens or (phase.closes and when >= phase.closes):
            yield ReasonCode.PHASE_CLOSED
        # R6.
        server = self._servers.get(entry.server.name) if entry.server else None
        if server is None or not server.pinned:
            yield ReasonCode.SERVER_NOT_PINNED
