"""Public modules for Synapse that rule over federation, beside which ours is measured.

They are installed when the bench runs, into its own directory, by the package client as this
machine has it set up. Nothing of theirs is a part of Rabta.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rabta_deploy.bench.measure import Skipped
from rabta_deploy.bench.subjects import Subject

_INSTALL_WITHIN_S = 300


@dataclass(frozen=True, slots=True)
class PublicModule:
    """A published module.

    Attributes:
        requirement: Its distribution, with its version.
        module: Python path of the class Synapse loads.
        config: Its settings.
        further: Distributions it needs beside what Synapse brings, with their versions.
    """

    requirement: str
    module: str
    config: Mapping[str, Any] = field(default_factory=dict)
    further: tuple[str, ...] = ()


PUBLIC_MODULES = (
    PublicModule(
        "synapse-domain-rule-checker==1.0.0",
        "synapse_domain_rule_checker.DomainRuleChecker",
        {"can_invite_if_not_in_domain_mapping": True},
    ),
    PublicModule(
        "synapse-room-access-rules==1.0.0",
        "room_access_rules.RoomAccessRules",
        {"id_server": "id.gov.test"},
    ),
    PublicModule(
        "synapse-freeze-room==1.1.0", "freeze_room.FreezeRoom", further=("frozendict==2.4.7",)
    ),
    PublicModule(
        "synapse-invite-checker==0.6.1",
        "synapse_invite_checker.InviteChecker",
        {
            # Nobody listens there; it asks for the list of its federation at invites alone.
            "federation_list_url": "http://127.0.0.1:1/",
            "gematik_ca_baseurl": "http://127.0.0.1:1/",
            "allowed_room_versions": ["11"],
        },
        ("asyncache==0.3.1", "emoji==2.16.0", "jwcrypto==1.6.1"),
    ),
)


def public_modules(
    folder: Path, wanted: Sequence[PublicModule] = PUBLIC_MODULES
) -> tuple[list[Subject], list[Skipped]]:
    """Install each into a directory of its own.

    Args:
        folder: Where; made here.
        wanted: Which.

    Returns:
        The subjects to measure, and which are skipped for what reason.
    """
    subjects, skipped = [], []
    for public in wanted:
        name = public.requirement.replace("==", " ")
        target = folder / public.requirement
        reason = _install(public, target) or _without_code(public, target)
        if reason:
            skipped.append(Skipped(name, reason))
        else:
            subjects.append(Subject(name, public.module, public.config, target))
    return subjects, skipped


def _install(public: PublicModule, target: Path) -> str:
    """Why it cannot be installed; empty when it is."""
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps"]
    try:
        subprocess.run(  # noqa: S603 - our own arguments
            [*command, "--target", str(target), public.requirement, *public.further],
            check=True,
            capture_output=True,
            text=True,
            timeout=_INSTALL_WITHIN_S,
        )
    except subprocess.TimeoutExpired:
        return f"was not installed within {_INSTALL_WITHIN_S} s"
    except subprocess.CalledProcessError:
        return "cannot be installed from the registry of this machine"
    return ""


def _without_code(public: PublicModule, target: Path) -> str:
    package = public.module.partition(".")[0]
    if (target / package).is_dir() or (target / f"{package}.py").exists():
        return ""
    return "the published release holds no code"
