"""The programs of a site that reach beyond it: TURN for calls, push for phones."""

from collections.abc import Mapping
from typing import Any

import yaml

from rabta_deploy.site.description import Calls, Push, Site
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.sizes import SIZES
from rabta_deploy.site.workload import Contact, Listen, Probe, Workload

APPLE = "api.push.apple.com"
GOOGLE = ("fcm.googleapis.com", "oauth2.googleapis.com")


def coturn(site: Site, layout: Layout, ports: Mapping[str, int], calls: Calls) -> Workload:
    """The ministry's own TURN server; its shared secret lies in its user database."""
    low, high = calls.relay_ports
    lines = [
        f"realm={site.server_name}",
        f"server-name={calls.name}",
        f"listening-ip={calls.host}",
        f"relay-ip={calls.host}",
        *([f"external-ip={calls.external_address}"] if calls.external_address else []),
        # TLS and DTLS alone: what is not encrypted is not listened to.
        f"tls-listening-port={calls.port}",
        "no-tcp",
        "no-udp",
        "no-tlsv1",
        "no-tlsv1_1",
        f"cert={calls.certificate_file}",
        f"pkey={calls.key_file}",
        f"min-port={low}",
        f"max-port={high}",
        "use-auth-secret",
        # No secret stands in this file: turnserver reads it from the table turn_secret.
        f"userdb={layout.secret('turn.db')}",
        # A relay is no way into the ministry's own network (coturn's security advice).
        "no-multicast-peers",
        *(f"denied-peer-ip={span}" for span in _OWN_NETWORKS),
        f"allowed-peer-ip={calls.host}",
        "user-quota=12",
        "total-quota=1200",
        "no-cli",
        "no-software-attribute",
        "simple-log",
        "log-file=stdout",
        f"pidfile={layout.state / 'turn/turnserver.pid'}",
        "prometheus",
        f"prometheus-port={ports['turn metrics']}",
        "prometheus-address=127.0.0.1",
    ]
    share = SIZES[site.size].small
    return Workload(
        name="turn",
        says="Relays calls between people who cannot reach each other, inside the country.",
        command=("/usr/bin/turnserver", "-c", str(layout.config / "turn/turnserver.conf"), "-n"),
        files={"turn/turnserver.conf": "".join(f"{line}\n" for line in lines)},
        secrets=("turn.db",),
        reads=(str(calls.certificate_file), str(calls.key_file)),
        listens=(Listen("turns", calls.host, calls.port, tls=True),),
        state=("turn",),
        probe=Probe("tcp", calls.port, host=calls.host, within_s=30),
        memory_mib=share.memory_mib,
        cpus=share.cpus,
    )


_OWN_NETWORKS = (
    "0.0.0.0-0.255.255.255",
    "10.0.0.0-10.255.255.255",
    "100.64.0.0-100.127.255.255",
    "127.0.0.0-127.255.255.255",
    "169.254.0.0-169.254.255.255",
    "172.16.0.0-172.31.255.255",
    "192.168.0.0-192.168.255.255",
    "::1",
    "fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
)


def sygnal(site: Site, layout: Layout, ports: Mapping[str, int], push: Push) -> Workload:
    """The push gateway: event ids alone leave it, for Apple's and Google's servers."""
    apps: dict[str, dict[str, Any]] = {}
    contacts: list[Contact] = []
    if push.fcm_service_account_file is not None:
        apps[push.app_id] = {
            "type": "gcm",
            "api_version": "v1",
            "service_account_file": str(push.fcm_service_account_file),
        }
        contacts += [Contact(host, "push to Android phones: event ids alone") for host in GOOGLE]
    if push.apns_certificate_file is not None:
        apps[f"{push.app_id}.ios"] = {"type": "apns", "certfile": str(push.apns_certificate_file)}
        contacts.append(Contact(APPLE, "push to Apple's phones: event ids alone"))
    document = {
        "apps": apps,
        "http": {"bind_addresses": ["127.0.0.1"], "port": ports["sygnal"]},
        "log": {
            "setup": {
                "version": 1,
                "handlers": {"console": {"class": "logging.StreamHandler"}},
                # At DEBUG it would print what it sends.
                "root": {"handlers": ["console"], "level": "WARNING"},
            },
            "access": {"x_forwarded_for": False},
        },
        "metrics": {
            "prometheus": {
                "enabled": True,
                "address": "127.0.0.1",
                "port": ports["sygnal metrics"],
            }
        },
    }
    share = SIZES[site.size].small
    return Workload(
        name="push",
        says="Wakes phones; what leaves the country is an event id and nothing more.",
        command=(layout.python, "-m", "sygnal.sygnal"),
        environment={"SYGNAL_CONF": str(layout.config / "push/sygnal.yaml")},
        files={"push/sygnal.yaml": yaml.safe_dump(document, sort_keys=False)},
        reads=tuple(
            str(file)
            for file in (push.fcm_service_account_file, push.apns_certificate_file)
            if file is not None
        ),
        listens=(
            Listen("http", "127.0.0.1", ports["sygnal"]),
            Listen("metrics", "127.0.0.1", ports["sygnal metrics"]),
        ),
        probe=Probe("http", ports["sygnal"]),
        memory_mib=share.memory_mib,
        cpus=share.cpus,
        contacts=tuple(contacts),
    )
