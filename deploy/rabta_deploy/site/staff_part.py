"""The staff service of a site: SCIM behind the router, accounts, and the bridge's directory."""

from collections.abc import Mapping
from pathlib import Path

from rabta_deploy.records.settings import ACCOUNT as RECORDS_ACCOUNT
from rabta_deploy.site.description import ARCHIVE_ACCOUNT, BRIDGE_ACCOUNT, Site, Staff
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.sizes import SIZES
from rabta_deploy.site.workload import Listen, Probe, Workload
from rabta_staff.door import BASE
from rabta_staff.settings import Settings, SingleSignOn

NAME = "staff"
STATE, SHARED = "staff", "directory"
"""The register; and what the bridge reads of it."""
_PASSWORD, _IMPORT = "staff-account-password", "staff-import-token"
TOKEN = "scim-token-"  # noqa: S105 - how files are called
"""A client's secret is called so, and then as the client is."""


def directory_file(layout: Layout) -> Path:
    """Where the bridge reads who is who."""
    return layout.state / SHARED / "directory.yaml"


def workload(site: Site, layout: Layout, at: Mapping[str, int], staff: Staff) -> Workload:
    """The program."""
    tokens = {name: f"{TOKEN}{name}" for name in staff.clients}
    port = "" if site.client.port == 443 else f":{site.client.port}"  # noqa: PLR2004 - HTTPS's own
    own = (BRIDGE_ACCOUNT, ARCHIVE_ACCOUNT, RECORDS_ACCOUNT, *site.administrators)
    settings = Settings(
        server_name=site.server_name,
        port=at[NAME],
        public_url=f"https://{site.client.name}{port}{BASE}",
        homeserver_url=f"http://127.0.0.1:{at['router client']}",
        registration_secret_file=layout.secret("registration"),
        password_file=layout.secret(_PASSWORD),
        token_files={name: layout.secret(secret) for name, secret in tokens.items()},
        import_token_file=layout.secret(_IMPORT),
        directory=layout.state / STATE,
        directory_file=directory_file(layout),
        sign_on=(
            SingleSignOn(provider="oidc-ministry", subject=staff.subject) if site.sso else None
        ),
        reserved=own,
    )
    share = SIZES[site.size].small
    return Workload(
        name=NAME,
        says="Staff in and out: SCIM, the accounts, and who holds which post.",
        command=(
            *(layout.python, "-m", "rabta_deploy.cli", "staff", "run"),
            *("--config", str(layout.config / "staff.yaml")),
        ),
        files={"staff.yaml": settings.text()},
        secrets=("registration", _PASSWORD, _IMPORT, *tokens.values()),
        listens=(Listen("metrics", "127.0.0.1", at[NAME]),),
        state=(STATE, SHARED),
        after=("router",),
        probe=Probe("http", at[NAME], within_s=90),
        memory_mib=share.memory_mib,
        cpus=share.cpus,
    )
