"""The door's settings: what `config:` under the module in homeserver.yaml may say, checked whole.

It never guesses: an unknown key, a relative path or a missing authority file stops Synapse.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, ValidationError
from synapse.module_api.errors import ConfigError

from rabta_policy import Authority, PolicyError


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("give the whole path, from /")
    return path


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class DoorSettings(BaseModel):
    """The settings of one door, alike in every process of the homeserver.

    Attributes:
        policy_file: The signed policy, canonical JSON; replaced atomically by its writer.
        authority_file: The pinned authority keys (YAML: `threshold`, `keys`).
        reload_interval_ms: How often the policy file is looked at, in milliseconds.
        reconcile_rooms_per_second: How many rooms at most are looked at in a second when the
            policy changes; rooms with nothing to change are quick.
        audit_directory: Where each process keeps its chain of audit lines; none, then the
            lines go to the log `rabta.audit` alone.
        default_class: The class of a room whose creator names none; none, then the policy's
            strictest class that federates.
        clear_event_types: Event types that may be sent unencrypted into an encrypted room,
            beside the fixed list in docs/reference/door-settings.md.
        ministry_bot: User id of the ministry's bot, which may raise a room's class for an officer
            of this server who told it to and may do it himself; none, then nobody may.
        archiver: User id of the account that keeps records; none, then nobody invites it for
            the records officer.
        archived_classes: New rooms of these classes invite the archiver, but for direct talks
            and rooms of the ministry's bot.
        perilously_run_on_untested_synapse: Load in a Synapse release this door was not
            tested with. What it enforces there is not known.
        perilously_run_without_guard: Leave keys, devices, profiles, media, aliases and to-device
            messages open to every server the policy names, whether or not it shares a room.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy_file: AbsolutePath
    authority_file: AbsolutePath
    reload_interval_ms: Annotated[StrictInt, Field(ge=100, le=1000)] = 500
    reconcile_rooms_per_second: Annotated[StrictInt, Field(ge=1, le=1000)] = 100
    audit_directory: AbsolutePath | None = None
    default_class: str | None = None
    clear_event_types: frozenset[str] = frozenset()
    ministry_bot: Annotated[str, Field(pattern=r"^@[^:\s]+:\S+$", max_length=255)] | None = None
    archiver: Annotated[str, Field(pattern=r"^@[^:\s]+:\S+$", max_length=255)] | None = None
    archived_classes: frozenset[str] = frozenset()
    perilously_run_on_untested_synapse: bool = False
    perilously_run_without_guard: bool = False


@dataclass(frozen=True, slots=True)
class DoorConfig:
    """Settings that hold, with the authority keys they pin already read."""

    settings: DoorSettings
    authority: Authority


def parse(config: dict[str, Any]) -> DoorConfig:
    """Check the module's `config` and read the authority it pins.

    Args:
        config: The mapping under `config:` in homeserver.yaml.

    Returns:
        The settings and the authority.

    Raises:
        ConfigError: Every fault of the settings at once, each with its path and cure; or
            what is wrong with the authority file.
    """
    try:
        settings = DoorSettings.model_validate(config)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(step) for step in fault['loc']) or 'config'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise ConfigError(f"rabta_synapse.Door: {faults}") from error
    return DoorConfig(settings, _authority(settings.authority_file))


def _authority(path: Path) -> Authority:
    try:
        return Authority.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"rabta_synapse.Door: authority_file: {error}; without the authority's keys no "
            "policy can be believed, so Synapse does not start"
        ) from error
    except PolicyError as error:
        raise ConfigError(f"rabta_synapse.Door: authority_file {path}: {error}") from error
