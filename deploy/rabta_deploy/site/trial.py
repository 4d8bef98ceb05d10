"""A trial site: what a ministry would bring is made here, by a trial network's CA and authority.

Two sites of one network directory federate with each other.
"""

import json
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from rabta_deploy.authority import NetworkAuthority
from rabta_deploy.ca import CertificateAuthority
from rabta_deploy.fault import YardError
from rabta_deploy.homeserver import VerifyKey, new_signing_key
from rabta_deploy.network import CONFIG
from rabta_deploy.ports import free_port, port_free
from rabta_deploy.secretfile import keep_secret
from rabta_deploy.site.layout import below
from rabta_policy import Address, Server, fill_servers, load_document

_SPAN = 100
"""More loopback ports than any size of site counts."""
_FIRST_SPAN, _LAST_SPAN = 12_000, 20_000


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial site is made from.

    Attributes:
        directory: Of the site; `site.yaml` lies in it, and its files when it runs.
        network: Of the trial network: CA, authority keys, policy.
        organisation: A code of the trial policy.
        server_name: Ends in `.test`.
    """

    directory: Path
    network: Path
    organisation: str
    server_name: str

    @property
    def file(self) -> Path:
        """The description."""
        return self.directory / "site.yaml"


def make(trial: Trial, clock: Callable[[], datetime], further: Mapping[str, Any]) -> Path:
    """Write a site file that holds, with certificates, a signing key and a signed policy.

    Args:
        trial: What to make it from.
        clock: Gives the time, timezone-aware.
        further: Further keys of `site.yaml`.

    Raises:
        YardError: `site-exists`, `unknown-organisation`.
    """
    if trial.file.exists():
        raise YardError(
            "site-exists", f"{trial.file} is there already.", "give another directory, or edit it"
        )
    ca = CertificateAuthority(trial.network / "ca")
    authority = NetworkAuthority(trial.network / "policy")
    chat = f"chat.{trial.server_name}"
    client, border = (ca.leaf(name, now=clock()) for name in (chat, trial.server_name))
    federation_port = free_port()
    sites = _join(trial, federation_port)
    _publish(authority, ca, sites, clock())
    document = {
        "organisation": trial.organisation,
        "server_name": trial.server_name,
        "size": "trial",
        "client": {
            "name": chat,
            "host": "127.0.0.1",
            "port": free_port(taken=[federation_port]),
            "certificate_file": str(client.certificate_file.absolute()),
            "key_file": str(client.key_file.absolute()),
        },
        "federation": {
            "host": "127.0.0.1",
            "port": federation_port,
            "certificate_file": str(border.certificate_file.absolute()),
            "key_file": str(border.key_file.absolute()),
        },
        "policy": {
            "policy_file": str(authority.files.policy.absolute()),
            "authority_file": str(authority.files.authority.absolute()),
        },
        "administrators": ["rabta-admin"],
        "ports_from": sites[trial.organisation]["ports_from"],
        **further,
    }
    trial.directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    trial.file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return trial.file


def _join(trial: Trial, port: int) -> dict[str, Any]:
    """Note this site beside those of the network that were made before; gives them all."""
    codes = {organisation["code"] for organisation in _template()["organisations"]}
    if trial.organisation not in codes:
        raise YardError(
            "unknown-organisation",
            f"The trial network has no organisation {trial.organisation}.",
            f"use one of: {', '.join(sorted(codes))}",
        )
    file = trial.network / "sites.json"
    sites: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    text = keep_secret(below(trial.directory).secret("signing.key"), new_signing_key)
    key = VerifyKey.of(text)
    server = Server(
        name=trial.server_name,
        address=Address(host="127.0.0.1", port=port),
        verify_keys={key.key_id: key.key},
    )
    sites[trial.organisation] = {
        "server": server.model_dump(mode="json", exclude_none=True),
        # A site that does not run yet holds its ports all the same.
        "ports_from": free_span({int(site["ports_from"]) for site in sites.values()}),
    }
    file.write_text(json.dumps(sites, indent=1) + "\n", encoding="utf-8")
    return sites


def pin(trial: Trial, key_id: str, key: str, now: datetime) -> None:
    """The trial network's authority pins one more signing key of a site, beside the others.

    Args:
        trial: Of the site.
        key_id: `ed25519:<version>`.
        key: Public half, unpadded base64.
        now: Timezone-aware.
    """
    file = trial.network / "sites.json"
    sites = json.loads(file.read_text(encoding="utf-8"))
    sites[trial.organisation]["server"]["verify_keys"][key_id] = key
    file.write_text(json.dumps(sites, indent=1) + "\n", encoding="utf-8")
    ca = CertificateAuthority(trial.network / "ca")
    _publish(NetworkAuthority(trial.network / "policy"), ca, sites, now)


def _publish(
    authority: NetworkAuthority, ca: CertificateAuthority, sites: Mapping[str, Any], now: datetime
) -> None:
    """Sign a policy that names every site of the network."""
    servers = {code: Server.model_validate(site["server"]) for code, site in sites.items()}
    authority.publish(fill_servers(_template(), servers) | {"tls_ca": ca.pem}, now=now)


def _template() -> dict[str, Any]:
    return load_document((CONFIG / "demo-policy.yaml").read_text(encoding="utf-8"))


def free_span(taken: Collection[int] = ()) -> int:
    """The first of a hundred loopback ports in a row that are free.

    Args:
        taken: What it shall not give.

    Raises:
        YardError: `no-free-port`.
    """
    # Below the range that `free_port` draws from, so that no passing test takes one of them;
    # at a place by chance, for a site that is made beside this one looks at the same moment.
    places = (_LAST_SPAN - _FIRST_SPAN) // _SPAN
    chance = secrets.randbelow(places)
    for place in range(places):
        start = _FIRST_SPAN + (place + chance) % places * _SPAN
        if start not in taken and all(port_free(port) for port in range(start, start + _SPAN)):
            return start
    raise YardError(
        "no-free-port", "No hundred free ports in a row on this machine.", "stop other servers"
    )
