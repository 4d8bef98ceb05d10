"""The records office of a site: it destroys what its time has come for and nobody holds."""

from collections.abc import Mapping

from rabta_deploy.records.settings import RecordsSettings
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import Layout, ports
from rabta_deploy.site.sizes import SIZES
from rabta_deploy.site.workload import Listen, Probe, Workload

STATE = "records"
_PASSWORD = "records-account-password"  # noqa: S105 - a file's name


def settings(site: Site, layout: Layout) -> RecordsSettings:
    """What the site says, as the program and the commands read it."""
    at = ports(site)
    return RecordsSettings(
        server_name=site.server_name,
        bridge=f"@rabta:{site.server_name}",
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
