"""What Compose and Helm share: one image, its users, and how a container is shut in."""

from pathlib import PurePath

from rabta_deploy.site.layout import Layout
from rabta_deploy.site.workload import Workload

USERS = {"rabta": 10001, "postgres": 10002}
"""System user -> number, the same in the image and in every container."""

CONFIG = "/etc/rabta/site"
SECRETS = "/etc/rabta/secrets"
STATE = "/var/lib/rabta"
BROUGHT = "/etc/rabta/brought"
"""Where the operator's own files are shown to the containers."""


def probe_command(part: Workload, layout: Layout) -> list[str]:
    """Ends with 0 when the program answers now."""
    return [layout.python, "-m", "rabta_deploy.site.ready", part.probe.url, "1"]


def state_mounts(part: Workload) -> list[str]:
    """Directories below the state directory that the program writes, none inside another."""
    return [
        one
        for one in part.state
        if not any(PurePath(one).is_relative_to(other) for other in part.state if other != one)
    ]


def image_file() -> str:
    """The Dockerfile of the one image: Debian's programs and the locked Python packages."""
    users = "".join(
        f"RUN useradd --system --uid {uid} --no-create-home --shell /usr/sbin/nologin {name}\n"
        for name, uid in USERS.items()
        if name != "postgres"
    )
    return f"""\
FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends \\
        python3.11-venv postgresql redis-server nginx coturn prometheus \\
    && rm -rf /var/lib/apt/lists/* \\
    && usermod --uid {USERS["postgres"]} postgres
{users}COPY requirements.lock /src/
RUN python3.11 -m venv /opt/rabta \\
    && /opt/rabta/bin/pip install --no-cache-dir --require-hashes -r /src/requirements.lock
COPY . /src
RUN /opt/rabta/bin/pip install --no-cache-dir --no-deps --no-build-isolation /src && rm -rf /src
USER {USERS["rabta"]}
"""
