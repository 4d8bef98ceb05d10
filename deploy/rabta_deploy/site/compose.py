"""A site as a Compose file: one image, the machine's own network, loopback between the parts."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from rabta_deploy.site.containers import (
    CONFIG,
    SECRETS,
    STATE,
    USERS,
    image_file,
    probe_command,
    state_mounts,
)
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.workload import Workload


def files(parts: Sequence[Workload], layout: Layout) -> Mapping[str, str]:
    """File name -> text."""
    document = {
        "name": "rabta",
        "services": {part.name: _service(part, layout) for part in parts},
        "volumes": {name: {} for name in sorted({n for part in parts for n in _volumes(part)})},
        "secrets": {
            name: {"file": f"./secrets/{name}"}
            for name in sorted({name for part in parts for name in part.secrets})
        },
    }
    return {
        "compose.yaml": yaml.safe_dump(document, sort_keys=False),
        "Dockerfile": image_file(),
    }


def _service(part: Workload, layout: Layout) -> dict[str, Any]:
    return {
        "image": "rabta:${RABTA_VERSION:?set RABTA_VERSION to the release you built}",
        "command": list(part.command),
        "user": str(USERS[part.user]),
        # The parts meet on the loopback, where nobody listens in; only TLS faces the network.
        "network_mode": "host",
        "read_only": True,
        "cap_drop": ["ALL"],
        **({"cap_add": ["NET_BIND_SERVICE"]} if part.binds_low_port else {}),
        "security_opt": ["no-new-privileges:true"],
        "tmpfs": ["/tmp", "/run"],  # noqa: S108 - of the container
        "mem_limit": f"{part.memory_mib}m",
        "cpus": part.cpus,
        "pids_limit": 512,
        "restart": "always",
        "stop_signal": f"SIG{part.stop}",
        "stop_grace_period": f"{part.stop_s}s",
        **({"environment": dict(part.environment)} if part.environment else {}),
        **(
            {"depends_on": {name: {"condition": "service_healthy"} for name in part.after}}
            if part.after
            else {}
        ),
        "healthcheck": {
            "test": ["CMD", *probe_command(part, layout)],
            "interval": "10s",
            "timeout": "5s",
            "retries": 3,
            "start_period": f"{part.probe.within_s}s",
        },
        "volumes": [
            f"./etc:{CONFIG}:ro",
            *(f"{file}:{file}:ro" for file in part.reads),
            *(f"{_volume(at)}:{STATE}/{at}" for at in state_mounts(part)),
        ],
        "secrets": [
            {"source": name, "target": f"{SECRETS}/{name}", "mode": 0o400} for name in part.secrets
        ],
    }


def _volumes(part: Workload) -> list[str]:
    return [_volume(at) for at in state_mounts(part)]


def _volume(at: str) -> str:
    return at.replace("/", "-")
