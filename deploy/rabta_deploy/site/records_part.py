"""The records office of a site: what destroys by its list, and what keeps by invitation."""

from collections.abc import Mapping

import yaml

from rabta_deploy.records.settings import RecordsSettings
from rabta_deploy.site.description import ARCHIVE_ACCOUNT, BRIDGE_ACCOUNT, Archive, Site
from rabta_deploy.site.layout import Layout, ports
from rabta_deploy.site.sizes import SIZES
from rabta_deploy.site.workload import Listen, Probe, Workload

STATE = "records"
ARCHIVE_STATE = "archive"
SIGNING_KEY = "records-signing.key"
"""Signs exports; its public half is told with each."""
_PASSWORD = "records-account-password"  # noqa: S105 - a file's name


def settings(site: Site, layout: Layout) -> RecordsSettings:
    """What the site says, as the program and the commands read it."""
    at = ports(site)
    return RecordsSettings(
        server_name=site.server_name,
        bridge=site.user_id(BRIDGE_ACCOUNT),
        client_url=f"http://127.0.0.1:{at['router client']}",
        registration_secret_file=layout.secret("registration"),
        password_file=layout.secret(_PASSWORD),
        directory=layout.state / STATE,
        default_days=site.retention.default_days,
        categories=dict(site.retention.categories),
        remote_media_days=site.retention.remote_media_days,
        every_hours=site.retention.every_hours,
        metrics_port=at["records"],
    )


def workload(site: Site, layout: Layout, at: Mapping[str, int]) -> Workload:
    """The program."""
    share = SIZES[site.size].small
    return Workload(
        name="records",
        says="Destroys what its record category no longer keeps, and nothing on hold.",
        command=(
            *(layout.python, "-m", "rabta_deploy.cli", "records", "run"),
            *("--config", str(layout.config / "records.yaml")),
        ),
        files={"records.yaml": settings(site, layout).text()},
        secrets=("registration", _PASSWORD),
        listens=(Listen("metrics", "127.0.0.1", at["records"]),),
        state=(STATE,),
        after=("router",),
        probe=Probe("http", at["records"], path="/metrics", within_s=60),
        memory_mib=share.memory_mib,
        cpus=share.cpus,
    )


def archiver(site: Site, layout: Layout, at: Mapping[str, int], archive: Archive) -> Workload:
    """The archiver, a member like another."""
    secrets = ("archive-account-password", "archive-store-key")
    document = {
        "matrix": {
            "homeserver_url": f"http://127.0.0.1:{at['router client']}",
            "user_id": site.user_id(ARCHIVE_ACCOUNT),
            "password_file": str(layout.secret(secrets[0])),
            "store_key_file": str(layout.secret(secrets[1])),
            "recovery_key_file": str(layout.state / ARCHIVE_STATE / "recovery-key"),
            # People of other ministries do not decide what this one keeps.
            "allowed_inviters": [f":{site.server_name}"],
        },
        "directory": str(layout.state / ARCHIVE_STATE),
        "recipients": list(archive.recipients),
        "classes": list(archive.classes),
        "port": at["archiver"],
    }
    share = SIZES[site.size].small
    return Workload(
        name="archiver",
        says="Keeps the record of the rooms it was invited to, which it tells so.",
        command=(
            *(layout.python, "-m", "rabta_deploy.cli", "records", "archiver"),
            *("--config", str(layout.config / "archiver.yaml")),
        ),
        files={"archiver.yaml": yaml.safe_dump(document, sort_keys=False)},
        # The signing key is for `rabta records export`, which runs where the records are.
        secrets=(*secrets, SIGNING_KEY),
        listens=(Listen("metrics", "127.0.0.1", at["archiver"]),),
        state=(ARCHIVE_STATE,),
        after=("router",),
        probe=Probe("http", at["archiver"], within_s=90),
        memory_mib=share.memory_mib,
        cpus=share.cpus,
    )
