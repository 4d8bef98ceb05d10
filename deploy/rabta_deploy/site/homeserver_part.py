"""The homeserver of a site: its main process and workers, each with the door, hardened."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import yaml

from rabta_deploy import synapse_config
from rabta_deploy.site.description import ARCHIVE_ACCOUNT, Site
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.sizes import SIZES, plan_of
from rabta_deploy.site.workload import Contact, Listen, Probe, Workload
from rabta_deploy.synapse_config import DoorSettings, SynapseFiles, SynapseSettings
from rabta_deploy.worker_config import MAIN, WorkerSettings, worker_document

_SECRETS = (
    "registration",
    "macaroon",
    "form",
    "replication",
    "redis",
    "signing.key",
    "database-password",
)
TURN_CREDENTIALS_LIVE = timedelta(hours=1)
"""How long credentials for a call are good; a call that lasts longer asks for new ones."""
_ADDRESSES_DAYS = 28


@dataclass(frozen=True, slots=True)
class _Making:
    site: Site
    layout: Layout
    workers: WorkerSettings
    files: SynapseFiles


def workloads(site: Site, layout: Layout, ports: Mapping[str, int]) -> list[Workload]:
    """The main process first: it alone prepares the database."""
    making = _Making(
        site,
        layout,
        WorkerSettings.of(plan_of(site), ports, layout.secret("redis")),
        SynapseFiles(
            directory=layout.config / "synapse",
            secrets=layout.secrets,
            state=layout.state / "synapse",
        ),
    )
    shared = synapse_config.document(_settings(making, ports), making.files)
    texts = {
        "synapse/homeserver.yaml": _yaml(shared),
        "synapse/log.yaml": _yaml(synapse_config.log_document()),
    }
    main = _process(making, MAIN, texts)
    return [main, *(_worker(making, name) for name in making.workers.plan.workers)]


def _worker(making: _Making, name: str) -> Workload:
    document = worker_document(name, making.workers, log_config=making.files.log_config)
    return _process(making, name, {f"synapse/{name}.yaml": _yaml(document)})


def _process(making: _Making, name: str, texts: Mapping[str, str]) -> Workload:
    site, layout = making.site, making.layout
    share = SIZES[site.size].synapse
    at = making.workers.processes[name]
    own = [] if name == MAIN else [layout.config / f"synapse/{name}.yaml"]
    app = "homeserver" if name == MAIN else "generic_worker"
    return Workload(
        name=f"synapse-{name.replace('_', '-')}",
        says=_SAYS.get(name, "One of the homeserver's worker processes."),
        # Synapse refuses to start where a secret stands in its configuration.
        command=(
            *(layout.python, "-m", f"synapse.app.{app}", "--no-secrets-in-config"),
            *(part for config in (making.files.config, *own) for part in ("-c", str(config))),
        ),
        files=texts,
        secrets=(*_SECRETS, *(["turn"] if site.calls else [])),
        reads=(
            str(site.policy.policy_file),
            str(site.policy.authority_file),
            *([str(site.sso.client_secret_file)] if site.sso else []),
        ),
        listens=tuple(Listen(use, "127.0.0.1", port) for use, port in at),
        state=("synapse", "audit"),
        after=_after(site, name),
        probe=Probe("http", at.http),
        memory_mib=share.memory_mib,
        cpus=share.cpus,
        door=True,
        contacts=_contacts(site),
    )


_SAYS = {MAIN: "The homeserver's main process: it prepares the database and answers the rest."}


def _after(site: Site, name: str) -> tuple[str, ...]:
    database = ("postgres",) if site.database.kind == "managed" else ()
    return (*database, "redis") if name == MAIN else ("synapse-main",)


def _contacts(site: Site) -> tuple[Contact, ...]:
    found = []
    if site.database.host is not None:
        found.append(Contact(site.database.host, "the database"))
    if site.sso is not None:
        host = site.sso.issuer.removeprefix("https://").partition("/")[0].partition(":")[0]
        found.append(Contact(host, "single sign-on"))
    return tuple(found)


def _settings(making: _Making, ports: Mapping[str, int]) -> SynapseSettings:
    site, layout = making.site, making.layout
    door = DoorSettings(
        policy_file=site.policy.policy_file,
        authority_file=site.policy.authority_file,
        audit_directory=layout.state / "audit",
        archiver=site.user_id(ARCHIVE_ACCOUNT) if site.archive else None,
        archived_classes=site.archive.invited_to if site.archive else (),
    )
    return SynapseSettings(
        server_name=site.server_name,
        client_port=ports["router client"],
        federation_port=ports["router federation"],
        gateway_out_port=ports["gateway out"] if site.federation else None,
        door=door,
        database=_database(site, layout, ports),
        workers=making.workers,
        overrides={
            **_face(site),
            **_SESSIONS,
            **_sign_in(site),
            **keeping(),
            **_calls(site, layout),
            **_old_keys(site),
            **_names(site),
            "push": {"enabled": site.push is not None, "include_content": False},
        },
    )


def _names(site: Site) -> dict[str, Any]:
    """With a staff service people are called as it says: by name, post and section."""
    return {"enable_set_displayname": False} if site.staff else {}


def _face(site: Site) -> dict[str, Any]:
    port = "" if site.client.port == 443 else f":{site.client.port}"  # noqa: PLR2004 - HTTPS's own
    return {"public_baseurl": f"https://{site.client.name}{port}/"}


def _old_keys(site: Site) -> dict[str, Any]:
    told = {key_id: key.model_dump() for key_id, key in site.old_signing_keys.items()}
    return {"old_signing_keys": told} if told else {}


def _database(site: Site, layout: Layout, ports: Mapping[str, int]) -> str:
    asked = site.database
    where = f"{asked.host}:{asked.port}" if asked.host else f"127.0.0.1:{ports['postgres']}"
    further: dict[str, Any] = {
        "passfile": layout.secret("database-password"),
        "cp_max": SIZES[site.size].connections,
        "keepalives_idle": 10,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }
    if asked.ca_file is not None:
        further |= {"sslmode": "verify-full", "sslrootcert": asked.ca_file}
    return f"postgresql://{quote(asked.user)}@{where}/{quote(asked.name)}?{urlencode(further)}"


# A lost phone is worth a quarter of an hour; who does nothing for a month signs in again.
_SESSIONS = {
    "refreshable_access_token_lifetime": "15m",
    "refresh_token_lifetime": "30d",
    # Of clients that cannot refresh, too; the bridge signs in again by itself.
    "session_lifetime": "90d",
}


def _sign_in(site: Site) -> dict[str, Any]:
    # With single sign-on people have no password: the bridge's and the administrators' are made
    # by programs. Length is what counts (NIST SP 800-63B, 3.1.1.2).
    password = {
        "password_config": {"enabled": True, "policy": {"enabled": True, "minimum_length": 15}}
    }
    if site.sso is None:
        return password
    provider = {
        "idp_id": "ministry",
        "idp_name": site.organisation,
        "issuer": site.sso.issuer,
        "client_id": site.sso.client_id,
        "client_secret_path": str(site.sso.client_secret_file),
        "scopes": ["openid", "profile"],
        "pkce_method": "always",
        # An account is there because a charge is: the provider makes none.
        "enable_registration": False,
        "attribute_requirements": [
            {"attribute": site.sso.mfa_claim, "one_of": list(site.sso.mfa_values)}
        ],
        "backchannel_logout_enabled": True,
        "user_mapping_provider": {
            "config": {"localpart_template": "{{ user.preferred_username }}"}
        },
    }
    return password | {"oidc_providers": [provider]}


def keeping() -> dict[str, Any]:
    """What Synapse itself destroys: nothing that people wrote or sent."""
    return {
        # The records office alone destroys: Synapse knows no holds, and `m.room.retention` is
        # whatever a member of the room says.
        "retention": {"enabled": False},
        "media_retention": {},
        # What was taken back stays, unseen, until its room's time has come: it may be on hold.
        "redaction_retention_period": None,
        "forgotten_room_retention_period": None,
        "user_ips_max_age": f"{_ADDRESSES_DAYS}d",
    }


def _calls(site: Site, layout: Layout) -> dict[str, Any]:
    if site.calls is None:
        return {}
    at = f"{site.calls.name}:{site.calls.port}"
    return {
        "turn_uris": [f"turns:{at}?transport=tcp", f"turns:{at}?transport=udp"],
        "turn_shared_secret_path": str(layout.secret("turn")),
        "turn_user_lifetime": round(TURN_CREDENTIALS_LIVE.total_seconds() * 1000),
        "turn_allow_guests": False,
    }


def _yaml(document: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True)
