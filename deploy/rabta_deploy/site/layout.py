"""Where the files of a site lie, and on which loopback ports its programs meet."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rabta_deploy.site.description import Site
from rabta_deploy.site.sizes import plan_of

_SINGLE = (
    "router client",
    "router federation",
    "postgres",
    "gateway out",
    "gateway metrics",
    "bridge",
    "turn metrics",
    "sygnal",
    "sygnal metrics",
    "prometheus",
    "grafana",
    "records",
    "archiver",
    "staff",
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The directories of a site.

    Attributes:
        config: Rendered files; nobody writes there while the site runs.
        secrets: Secrets that the site makes, mode 0600.
        state: What the programs keep.
        python: The interpreter that has Rabta and Synapse.
    """

    config: Path
    secrets: Path
    state: Path
    python: str

    def secret(self, name: str) -> Path:
        """The file of a secret."""
        return self.secrets / name


SYSTEM = Layout(
    config=Path("/etc/rabta/site"),
    secrets=Path("/etc/rabta/secrets"),
    state=Path("/var/lib/rabta"),
    python="/opt/rabta/bin/python",
)
"""Of a machine, a container or a pod that is one site's alone."""


def layout_of(root: Path | None) -> Layout:
    """Of a site that runs below one directory; None: the machine's own directories."""
    return below(root) if root else SYSTEM


def below(root: Path) -> Layout:
    """All of a site below one directory, run by this interpreter."""
    here = root.absolute()
    return Layout(
        config=here / "etc", secrets=here / "secrets", state=here / "var", python=sys.executable
    )


def ports(site: Site) -> Mapping[str, int]:
    """Use -> loopback port, counted up from the site's own first one.

    The uses that do not depend on the size come first, so that a larger size moves none of them.
    """
    uses = [*_SINGLE, *plan_of(site).port_uses]
    return {use: site.ports_from + number for number, use in enumerate(uses)}
