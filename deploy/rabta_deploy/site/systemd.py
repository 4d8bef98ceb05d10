"""A site as systemd units: one per program, shut in as far as the program lets itself be."""

from collections.abc import Mapping, Sequence

from rabta_deploy.site.layout import Layout
from rabta_deploy.site.workload import Workload

TARGET = "rabta.target"
# What no program of a site needs, from systemd.exec(5).
_SHUT_IN = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectProc=invisible",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "UMask=0077",
)


def units(parts: Sequence[Workload], layout: Layout) -> Mapping[str, str]:
    """File name -> text."""
    wanted = " ".join(f"{_unit(part.name)}" for part in parts)
    target = (
        "[Unit]\nDescription=Rabta: a ministry's site\n"
        f"Wants={wanted}\n\n[Install]\nWantedBy=multi-user.target\n"
    )
    return {TARGET: target, **{_unit(part.name): _text(part, layout) for part in parts}}


def _unit(name: str) -> str:
    return f"rabta-{name}.service"


def _text(part: Workload, layout: Layout) -> str:
    after = "".join(f" {_unit(name)}" for name in part.after)
    shut_in = list(_SHUT_IN)
    if part.binds_low_port:
        shut_in[1] = "CapabilityBoundingSet=CAP_NET_BIND_SERVICE"
        shut_in.append("AmbientCapabilities=CAP_NET_BIND_SERVICE")
    lines = [
        "[Unit]",
        f"Description=Rabta: {part.says}",
        f"PartOf={TARGET}",
        f"After=network-online.target{after}",
        *([f"Wants={after.strip()}"] if after else []),
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        f"User={part.user}",
        f"ExecStart={' '.join(_quoted(word) for word in part.command)}",
        f"ExecStartPost={_probe(part, layout)}",
        f"TimeoutStartSec={part.probe.within_s}",
        f"KillSignal=SIG{part.stop}",
        f"TimeoutStopSec={part.stop_s}",
        "Restart=always",
        "RestartSec=1",
        f"MemoryMax={part.memory_mib}M",
        f"CPUQuota={round(part.cpus * 100)}%",
        "TasksMax=512",
        *(f"Environment={name}={said}" for name, said in part.environment.items()),
        *(f"ReadWritePaths={layout.state / directory}" for directory in part.state),
        f"ReadOnlyPaths={layout.config}",
        f"InaccessiblePaths={' '.join(f'-{path}' for path in _others(part, layout))}",
        *shut_in,
        "",
        "[Install]",
        f"WantedBy={TARGET}",
        "",
    ]
    return "\n".join(lines)


def _others(part: Workload, layout: Layout) -> list[str]:
    """What other programs keep, of which this one sees nothing."""
    mine = {directory.partition("/")[0] for directory in part.state}
    known = (
        "archive",
        "audit",
        "bridge",
        "directory",
        "gateway",
        "grafana",
        "postgres",
        "prometheus",
        "records",
        "redis",
        "router",
        "staff",
        "synapse",
        "turn",
    )
    return [str(layout.state / name) for name in known if name not in mine]


def _probe(part: Workload, layout: Layout) -> str:
    return f"{layout.python} -m rabta_deploy.site.ready {part.probe.url} {part.probe.within_s}"


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word
