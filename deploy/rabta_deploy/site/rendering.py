"""Writes a site as text: configuration, systemd units, Compose file, Helm chart. No secret.

The same site gives the same bytes, whoever renders it and when.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from rabta_deploy.fault import YardError
from rabta_deploy.site import compose, helm, systemd
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import SYSTEM, Layout
from rabta_deploy.site.parts import workloads
from rabta_deploy.site.workload import Workload

_MARK = ".rabta-site"


def rendered(site: Site, layout: Layout = SYSTEM) -> Mapping[str, str]:
    """Path below the output directory -> text."""
    parts = workloads(site, layout)
    return {
        **{f"etc/{path}": text for path, text in config_files(parts).items()},
        **{f"systemd/{name}": text for name, text in systemd.units(parts, layout).items()},
        "logrotate/rabta": _logrotate(layout),
        **{f"compose/{name}": text for name, text in compose.files(parts, layout).items()},
        **{f"helm/{name}": text for name, text in helm.files(site, parts, layout).items()},
        "contacts.json": _contacts(parts),
    }


def config_files(parts: tuple[Workload, ...]) -> Mapping[str, str]:
    """Path below the configuration directory -> text."""
    return {path: text for part in parts for path, text in part.files.items()}


def write(texts: Mapping[str, str], directory: Path) -> int:
    """Write the texts; what an earlier rendering wrote and this one does not is removed.

    Returns:
        How many files changed.

    Raises:
        YardError: `output-not-ours`: the directory holds something else.
    """
    mark = directory / _MARK
    if directory.exists() and any(directory.iterdir()) and not mark.exists():
        raise YardError(
            "output-not-ours",
            f"{directory} holds files that no rendering wrote.",
            "give an empty directory, or one of an earlier rendering",
        )
    directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    before = set(json.loads(mark.read_text())) if mark.exists() else set()
    for gone in sorted(before - set(texts)):
        (directory / gone).unlink(missing_ok=True)
    changed = len(before - set(texts))
    for name, text in texts.items():
        file = directory / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            changed += 1
    mark.write_text(json.dumps(sorted(texts), indent=1) + "\n")
    return changed


def _logrotate(layout: Layout) -> str:
    """Journald keeps what the programs say; the audit rotates itself and is never cut here."""
    return (
        f"{layout.state}/*/*.log {{\n    daily\n    rotate 14\n    maxsize 100M\n    compress\n"
        "    delaycompress\n    missingok\n    notifempty\n    copytruncate\n    su root root\n}\n"
    )


def _contacts(parts: tuple[Workload, ...]) -> str:
    """Whom the site calls beyond this machine, for whoever configures the firewall."""
    rows = [
        {"part": part.name, "host": contact.host, "why": contact.why}
        for part in parts
        for contact in part.contacts
    ]
    return json.dumps(rows, indent=2) + "\n"
