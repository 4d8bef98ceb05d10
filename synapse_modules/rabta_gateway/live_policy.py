"""The policy in force: read from its file, swapped when the file changes, kept on any fault.

Never goes back to a lower serial: the highest one seen is kept in `state_file`. Standing is
asked of the policy at each request, so that it expires on time by itself.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import structlog

from rabta_gateway.metrics import Metrics
from rabta_gateway.settings import SettingsError, SettingsFault
from rabta_gateway.watch import FileWatch
from rabta_policy import Authority, Policy, PolicyError, open_signed

_log = structlog.get_logger("rabta.gateway.policy")


class LivePolicy:
    """Holds the last good policy of one file.

    Args:
        policy_file: The signed policy; writers replace it atomically.
        authority_file: Pinned authority keys, read once.
        state_file: Where the last serial is kept.
        metrics: Told of every load and fault.

    Raises:
        SettingsError: If there is no good policy to start with.
    """

    def __init__(
        self, *, policy_file: Path, authority_file: Path, state_file: Path, metrics: Metrics
    ) -> None:
        self._file = policy_file
        self._state_file = state_file
        self._metrics = metrics
        self._authority = _authority(authority_file)
        self._last_serial, self._last_digest = _last_seen(state_file)
        self._listeners: list[Callable[[Policy], None]] = []
        self._watch = FileWatch(policy_file)
        try:
            self._policy = self._open()
        except (PolicyError, OSError) as error:
            message = f"{policy_file} holds no policy that can be used: {error}"
            cure = "fetch the signed policy again from the network authority"
            raise SettingsError([SettingsFault("policy_file", message, cure)]) from error
        self._keep_serial()

    @property
    def policy(self) -> Policy:
        """The last good policy, whatever its standing."""
        return self._policy

    def on_change(self, listener: Callable[[Policy], None]) -> None:
        """Call `listener` with every new policy, after it is in force."""
        self._listeners.append(listener)

    def poll(self) -> bool:
        """Look at the file once; swap to a new good policy.

        Returns:
            True if another policy is in force now.
        """
        if not self._watch.changed():
            return False
        try:
            fresh = self._open()
        except PolicyError as error:
            self._fault(str(error.reason))
            return False
        except OSError:
            self._fault("policy-unreadable")
            return False
        self._policy = fresh
        self._keep_serial()
        _log.info("policy-in-force", serial=fresh.serial)
        for listener in self._listeners:
            listener(fresh)
        return True

    def _open(self) -> Policy:
        policy = open_signed(
            self._file.read_bytes(),
            self._authority,
            last_serial=self._last_serial,
            last_digest=self._last_digest,
        )
        self._metrics.policy_serial.set(policy.serial)
        return policy

    def _fault(self, reason: str) -> None:
        self._metrics.policy_faults.labels(reason=reason).inc()
        _log.error("policy-refused", reason=reason, kept_serial=self._policy.serial)

    def _keep_serial(self) -> None:
        """Write serial and digest whole or not at all, and only when they are new."""
        seen = (self._policy.serial, self._policy.digest)
        if seen == (self._last_serial, self._last_digest):
            return
        self._last_serial, self._last_digest = seen
        fresh = self._state_file.with_name(f".{self._state_file.name}.new")
        with fresh.open("w", encoding="ascii") as file:
            json.dump({"serial": self._last_serial, "digest": self._last_digest}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._state_file)


def _authority(file: Path) -> Authority:
    try:
        return Authority.parse(file.read_text(encoding="utf-8"))
    except (PolicyError, OSError, ValueError) as error:
        message = f"{file} holds no authority keys: {error}"
        cure = "write `threshold` and `keys` as the network authority published them"
        raise SettingsError([SettingsFault("authority_file", message, cure)]) from error


def _last_seen(file: Path) -> tuple[int, str]:
    """The kept serial and digest; 0 before the first start. A broken file never means 0."""
    try:
        state = json.loads(file.read_text(encoding="ascii"))
        serial, digest = state["serial"], state.get("digest", "")
    except FileNotFoundError:
        return 0, ""
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SettingsError([_state_fault(file)]) from error
    if type(serial) is not int or serial < 0 or not isinstance(digest, str):
        raise SettingsError([_state_fault(file)])
    return serial, digest


def _state_fault(file: Path) -> SettingsFault:
    message = f"{file} does not hold the last serial"
    cure = 'restore it, or write {"serial": N} with the serial of the last policy in force'
    return SettingsFault("state_file", message, cure)
