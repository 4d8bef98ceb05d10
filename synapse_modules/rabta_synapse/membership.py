"""Invites, joins and knocks: the callbacks that decide who comes into a room.

Leaving, kicking and banning are never refused. Every question goes to the judge; this file knows
only who is asking whom.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from synapse.api.errors import Codes
from synapse.module_api import NOT_SPAM, EventBase, JsonDict, ModuleApi, StateMap

from rabta_policy import Action, ActionKind, Policy, Room
from rabta_policy.known_room import (
    STATE_WITH_MEMBERS,
    KnownRoom,
    departed,
    expected,
    know,
    owner_of,
    residents,
    server_of,
    strictest,
)
from rabta_synapse import crossing
from rabta_synapse.invitations import Invitation, Invitations, read_invitation
from rabta_synapse.judge import Judge, Note
from rabta_synapse.refusal import (
    HISTORY_OF_OTHERS,
    NO_POLICY,
    NOT_INVITED,
    SOMEBODY_INSIDE,
    Refusal,
)

SpamAnswer = Literal["NOT_SPAM"] | tuple[Codes, JsonDict]


class Membership:
    """Judges who comes in.

    Args:
        api: Synapse's module API.
        judge: Asked for every verdict.
        invitations: Invites received from other servers.
    """

    def __init__(self, api: ModuleApi, judge: Judge, invitations: Invitations) -> None:
        self._api = api
        self._judge = judge
        self._invitations = invitations

    async def user_may_invite(self, inviter: str, invitee: str, room_id: str) -> SpamAnswer:
        """A local user invites: told early; `check_event_allowed` decides, for admins as well."""
        if not self._api.is_mine(inviter):
            # A remote invite: `federated_user_may_invite` judged it a moment ago.
            return NOT_SPAM
        state = await self._api.get_room_state(room_id, STATE_WITH_MEMBERS)
        refusal = self._invite(
            inviter, invitee, room_id, state, path="user_may_invite", note=Note.DENIALS
        )
        return refusal.answer if refusal else NOT_SPAM

    async def federated_user_may_invite(self, event: EventBase) -> SpamAnswer:
        """Another server invites our user: judged by the server that signed, not by what it says.

        The stripped state beside the invite may be forged. Its class and creator are taken as
        claims that can only close: the pair must be allowed whatever they say, and the real
        state is judged after the join.
        """
        path = "federated_user_may_invite"
        inviter, invitee = event.sender, event.state_key or ""
        policy = self._judge.policy
        if policy is None:
            return self._refuse_blind(ActionKind.INVITE, inviter, invitee, path).answer
        invitation = read_invitation(event, policy)
        room = self._claimed(invitation, policy)
        refusal = self._ask(crossing.invite(inviter, invitee, room, (invitation.home,)), path=path)
        if refusal:
            return refusal.answer
        await self._invitations.keep(invitation)
        return NOT_SPAM

    async def user_may_join_room(
        self,
        user_id: str,
        room_id: str,
        is_invited: bool,
    ) -> SpamAnswer:
        """A local user joins, here or elsewhere. Server admins do not pass here: see aftermath."""
        path = "user_may_join_room"
        state = await self._api.get_room_state(room_id, STATE_WITH_MEMBERS)
        known = self._known(room_id, state)
        if known is not None:
            refusal = self.join(
                user_id, known, state, invited=is_invited, path=path, note=Note.DENIALS
            )
            return refusal.answer if refusal else NOT_SPAM
        server, policy = self._judge.server_name, self._judge.policy
        if policy is None:
            return self._refuse_blind(ActionKind.JOIN, user_id, user_id, path).answer
        invitation = await self._invitations.find(room_id, user_id)
        if invitation is None or not is_invited:
            room = Room(room_id, strictest(policy, ()))
            action = Action(ActionKind.JOIN, server, "", room, user_id)
            return self._judge.refuse(action, NOT_INVITED, path=path).answer
        # The inviter's server is sure, for it signed; the home is the inviter's claim.
        room, sure = self._claimed(invitation, policy), server_of(invitation.inviter)
        questions = crossing.join(user_id, room, sure, (invitation.home,), invited=True)
        refusal = self._ask(questions, path=path)
        return refusal.answer if refusal else NOT_SPAM

    def judge_event(
        self, event: EventBase, state: StateMap[EventBase], path: str
    ) -> Refusal | None:
        """Judge a membership event against the room's state before it.

        Returns:
            The refusal, or None when the event may be.
        """
        membership = event.content.get("membership")
        target = event.state_key or ""
        if membership == "invite":
            return self._invite(event.sender, target, event.room_id, state, path=path)
        if membership not in ("join", "knock"):
            return None  # leave and ban: going out is never refused.
        before = state.get(("m.room.member", target))
        stood = before.content.get("membership") if before else None
        if membership == stood == "join":
            return None  # Already in: a new display name or avatar, no new member.
        known = self._known(event.room_id, state)
        if known is None:
            return self._refuse_blind(ActionKind(membership), target, target, path)
        if membership == "knock":
            questions = crossing.knock(target, known.room, known.home, residents(state))
            return self._come_in(target, known, state, questions, path=path)
        return self.join(target, known, state, invited=stood == "invite", path=path)

    def join(
        self,
        user_id: str,
        known: KnownRoom,
        state: StateMap[EventBase],
        *,
        invited: bool,
        path: str,
        note: Note = Note.ALL,
    ) -> Refusal | None:
        """Judge a join of a room whose state we hold.

        Returns:
            The refusal, or None. Whoever asks to come in is not told who is there: to
            another server it names nobody but ourselves.
        """
        present = residents(state)
        questions = crossing.join(user_id, known.room, known.home, present, invited=invited)
        return self._come_in(user_id, known, state, questions, path=path, note=note)

    def _come_in(
        self,
        user_id: str,
        known: KnownRoom,
        state: StateMap[EventBase],
        questions: Iterable[crossing.Question],
        *,
        path: str,
        note: Note = Note.ALL,
    ) -> Refusal | None:
        home, *others = questions
        refusal = self._ask([home], path=path, note=note)
        named = self._api.is_mine(user_id) or known.home == self._judge.server_name
        if refusal is None:
            refusal, named = self._ask(others, path=path, note=note), False
        if refusal is None:
            return self._history(user_id, known, state, path=path)
        return refusal if named else replace(refusal, text=SOMEBODY_INSIDE, further=())

    def _history(
        self, user_id: str, known: KnownRoom, state: StateMap[EventBase], *, path: str
    ) -> Refusal | None:
        """D15. Whoever comes in reads what those wrote who were here before.

        Only what stands between two ministries counts: one that is suspended today may still
        have written for the eyes of others.
        """
        if server_of(user_id) in residents(state):
            return None
        for gone in sorted(departed(state) - {server_of(user_id)}):
            ways = crossing.meeting(user_id, gone, known.room, invited=True)
            verdicts = [self._judge.ask([way], path=path, note=Note.NOTHING) for way in ways]
            if all(isinstance(one, Refusal) and one.between_the_two for one in verdicts):
                return self._judge.refuse(ways[0], HISTORY_OF_OTHERS, path=path)
        return None

    def _invite(
        self,
        inviter: str,
        invitee: str,
        room_id: str,
        state: StateMap[EventBase],
        *,
        path: str,
        note: Note = Note.ALL,
    ) -> Refusal | None:
        known = self._known(room_id, state)
        if known is None:
            return self._refuse_blind(ActionKind.INVITE, inviter, invitee, path)
        # Two invited at once would meet as soon as both accept, and one would read of the other.
        questions = crossing.invite(inviter, invitee, known.room, expected(state))
        refusal = self._ask(questions, path=path, note=note)
        return refusal or self._history(invitee, known, state, path=path)

    def _known(self, room_id: str, state: StateMap[EventBase]) -> KnownRoom | None:
        policy = self._judge.policy
        return know(room_id, state, policy, self._judge.clock()) if policy else None

    def _ask(
        self, questions: Iterable[crossing.Question], *, path: str, note: Note = Note.ALL
    ) -> Refusal | None:
        for question in questions:
            verdict = self._judge.ask(question, path=path, note=note)
            if isinstance(verdict, Refusal):
                return verdict
        return None

    def _refuse_blind(self, kind: ActionKind, actor: str, target: str, path: str) -> Refusal:
        """Refuse where there is no policy, or no state to read the room from."""
        action = Action(kind, server_of(actor), server_of(target), None, actor)
        return self._judge.refuse(action, NO_POLICY, path=path)

    def _claimed(self, invitation: Invitation, policy: Policy) -> Room:
        owner = owner_of(invitation.home, policy, self._judge.clock())
        return Room(invitation.room_id, invitation.room_class, owner)
