"""The door: builds its parts, hands the callbacks to Synapse and keeps the whitelist to the policy.

Closed from the first line: the whitelist is empty until a policy was believed, and every callback
denies without one.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from synapse.module_api import ModuleApi
from synapse.module_api.errors import ConfigError

from rabta_audit import Journal
from rabta_policy import Policy, Standing
from rabta_synapse import choke_points, ordinary, private, settings
from rabta_synapse.aftermath import Aftermath
from rabta_synapse.audit import Audit, LogTrail
from rabta_synapse.class_command import RESOURCE, ClassCommand
from rabta_synapse.closed import closed, closed_by_raising
from rabta_synapse.creation import Archiving, Creation
from rabta_synapse.delivery import Delivery
from rabta_synapse.guard import Guard
from rabta_synapse.incoming import Incoming
from rabta_synapse.invitations import DatabaseInvitations
from rabta_synapse.judge import Judge
from rabta_synapse.ledger import DatabaseLedger
from rabta_synapse.membership import Membership
from rabta_synapse.metrics import FEDERATING_SERVERS, POLICY_IN_FORCE
from rabta_synapse.outside_view import OutsideView
from rabta_synapse.publishing import Publishing
from rabta_synapse.reconcile import Reconcile
from rabta_synapse.record_command import RESOURCE as RECORD_RESOURCE
from rabta_synapse.record_command import RecordCommand
from rabta_synapse.refusal import FAILED
from rabta_synapse.registration import Callbacks, register
from rabta_synapse.room_events import RoomEvents
from rabta_synapse.settings import DoorConfig
from rabta_synapse.shared_rooms import SharedRooms
from rabta_synapse.source import PolicySource
from rabta_synapse.threepid import ThirdPartyInvites
from rabta_synapse.user_search import UserSearch
from rabta_synapse.whitelist import refill

logger = logging.getLogger(__name__)

_STANDINGS = {Standing.IN_FORCE: 1, Standing.GRACE: 0, Standing.EXPIRED: -1}


class Door:
    """The Synapse module. Loaded in every process by `modules:` in homeserver.yaml.

    Raises:
        ConfigError: This Synapse, or its configuration, is not one the door can close.
    """

    def __init__(self, config: DoorConfig, api: ModuleApi) -> None:
        given = config.settings
        private.require_tested_synapse(
            perilously_run_on_untested_synapse=given.perilously_run_on_untested_synapse
        )
        self._api = api
        self._clock = _clock_of(api)
        self._whitelist = private.whitelist_of(api)
        self._audit = _audit(config, api, self._clock)
        self.source = PolicySource(
            given.policy_file,
            config.authority,
            ledger=DatabaseLedger(api),
            audit=self._audit,
            in_thread=api.defer_to_thread,
        )
        self.judge = Judge(
            api.server_name, source=self.source, clock=self._clock, audit=self._audit
        )
        self._invitations = DatabaseInvitations(api)
        if not given.perilously_run_without_guard:
            shared = SharedRooms(api, self._invitations, self._clock)
            outside = OutsideView(api, self.judge, self._membership())
            choke_points.stand_in(
                Guard(self.judge, shared, outside), Delivery(self.judge, self._audit)
            )
        self._reconcile = Reconcile(
            api, self.judge, self._audit, rooms_per_second=given.reconcile_rooms_per_second
        )
        register(api.register_spam_checker_callbacks, self._spam_checker(config))
        register(api.register_third_party_rules_callbacks, self._third_party_rules(config))
        ordinary.spare_ordinary_messages()
        for name in ("ministry_bot", "archiver"):
            account = getattr(given, name)
            if account is not None and not api.is_mine(account):
                raise ConfigError(
                    f"rabta_synapse.Door: {name}: {account} has its account on another server; "
                    "name one of this server"
                )
        if given.ministry_bot is not None:
            command = ClassCommand(api, self.judge, self._audit, given.ministry_bot)
            api.register_web_resource(RESOURCE, command)
        command_of_records = RecordCommand(api, self.judge, self._audit, given.archiver)
        api.register_web_resource(RECORD_RESOURCE, command_of_records)
        self._applied: Policy | None = None
        self._apply()
        api.delayed_background_call(0, self.pulse, desc="rabta_first_policy")
        api.looping_background_call(
            self.pulse, given.reload_interval_ms, desc="rabta_policy", run_on_all_instances=True
        )

    @staticmethod
    def parse_config(config: dict[str, Any]) -> DoorConfig:
        """Check the settings; Synapse calls this while it reads homeserver.yaml."""
        return settings.parse(config)

    async def pulse(self) -> None:
        """Look at the policy file, and at the clock: both can change what is open."""
        try:
            await self.source.refresh()
        except Exception:
            # The database or the disk did not answer. The last good policy stands, by its dates.
            logger.exception("The policy could not be refreshed; trying again")
        self._apply()
        self._audit.sync()

    def _apply(self) -> None:
        policy, now = self.source.policy, self._clock()
        servers = policy.federating_servers(now) if policy else frozenset[str]()
        changed = refill(self._whitelist, servers | {self._api.server_name})
        if policy is not None and (changed or policy is not self._applied):
            self._applied = policy
            self._reconcile.want()
        if changed:
            FEDERATING_SERVERS.set(len(self._whitelist))
            logger.info("The federation whitelist names %d servers", len(self._whitelist))
        POLICY_IN_FORCE.set(_standing(policy, now))

    def _spam_checker(self, config: DoorConfig) -> Callbacks:
        membership = self._membership()
        incoming = Incoming(self._api, self.judge, membership)
        creation = self._creation(config)
        publishing = Publishing(self._api, self.judge)
        addresses = ThirdPartyInvites(self.judge)
        return {
            "user_may_invite": closed(membership.user_may_invite, FAILED.answer),
            "federated_user_may_invite": closed(
                membership.federated_user_may_invite, FAILED.answer
            ),
            "user_may_join_room": closed(membership.user_may_join_room, FAILED.answer),
            "user_may_create_room": closed(creation.user_may_create_room, FAILED.answer),
            "user_may_create_room_alias": closed(
                publishing.user_may_create_room_alias, FAILED.answer
            ),
            "user_may_publish_room": closed(publishing.user_may_publish_room, FAILED.answer),
            "user_may_send_3pid_invite": closed(addresses.user_may_send_3pid_invite, FAILED.answer),
            "check_username_for_spam": closed(
                UserSearch(self.judge).check_username_for_spam, on_failure=True
            ),
            "check_event_for_spam": closed_by_raising(incoming.check_event_for_spam),
        }

    def _third_party_rules(self, config: DoorConfig) -> Callbacks:
        membership = self._membership()
        creation = self._creation(config)
        events = RoomEvents(
            self._api, self.judge, membership, creation, config.settings.clear_event_types
        )
        publishing = Publishing(self._api, self.judge)
        return {
            "check_event_allowed": closed_by_raising(events.check_event_allowed),
            "on_create_room": closed_by_raising(creation.on_create_room),
            "check_threepid_can_be_invited": closed(
                ThirdPartyInvites(self.judge).check_threepid_can_be_invited, on_failure=False
            ),
            "check_visibility_can_be_modified": closed(
                publishing.check_visibility_can_be_modified, on_failure=False
            ),
            # Nothing to close: it repairs; Synapse logs what it raises.
            "on_new_event": Aftermath(
                self._api, self.judge, membership, self._reconcile
            ).on_new_event,
        }

    def _creation(self, config: DoorConfig) -> Creation:
        given = config.settings
        archiving = Archiving(given.archiver, given.archived_classes, given.ministry_bot)
        return Creation(self.judge, given.default_class, archiving)

    def _membership(self) -> Membership:
        return Membership(self._api, self.judge, self._invitations)


def _clock_of(api: ModuleApi) -> Callable[[], datetime]:
    def now() -> datetime:
        return datetime.fromtimestamp(api.get_current_time_msec() / 1000, UTC)

    return now


def _audit(config: DoorConfig, api: ModuleApi, clock: Callable[[], datetime]) -> Audit:
    directory = config.settings.audit_directory
    if directory is None:
        return Audit(LogTrail(), clock)
    return Audit(Journal(directory, f"door-{api.worker_name or 'main'}"), clock)


def _standing(policy: Policy | None, now: datetime) -> int:
    return _STANDINGS[policy.standing(now)] if policy else -1
