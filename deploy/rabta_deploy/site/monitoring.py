"""Prometheus and Grafana of a site: they read what every other program tells, on the loopback."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from rabta_deploy.site.alerts import rules
from rabta_deploy.site.dashboard import dashboard
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.sizes import SIZES
from rabta_deploy.site.workload import Listen, Probe, Workload

# Where a program tells its metrics, when not at /metrics.
_PATHS = {"synapse": "/_synapse/metrics"}


def workloads(
    site: Site, layout: Layout, ports: Mapping[str, int], watched: Sequence[Workload]
) -> list[Workload]:
    """Both programs.

    Args:
        site: The site.
        layout: Its directories.
        ports: Its loopback ports.
        watched: The programs to read from.
    """
    return [_prometheus(site, layout, ports, watched), _grafana(site, layout, ports)]


def _prometheus(
    site: Site, layout: Layout, ports: Mapping[str, int], watched: Sequence[Workload]
) -> Workload:
    document = {
        "global": {"scrape_interval": "15s", "external_labels": {"site": site.organisation}},
        "rule_files": [str(layout.config / "prometheus/alerts.yaml")],
        "scrape_configs": [
            job for part in watched for job in _jobs(part, site.server_name, ports["turn metrics"])
        ],
    }
    days = site.monitoring.keep_days if site.monitoring else 1
    share = SIZES[site.size].small
    return Workload(
        name="prometheus",
        says="Reads what every part tells of itself, and raises alerts.",
        command=(
            "/usr/bin/prometheus",
            f"--config.file={layout.config / 'prometheus/prometheus.yaml'}",
            f"--storage.tsdb.path={layout.state / 'prometheus'}",
            f"--storage.tsdb.retention.time={days}d",
            f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
        ),
        files={
            "prometheus/prometheus.yaml": yaml.safe_dump(document, sort_keys=False),
            "prometheus/alerts.yaml": yaml.safe_dump(rules(), sort_keys=False),
        },
        listens=(Listen("http", "127.0.0.1", ports["prometheus"]),),
        state=("prometheus",),
        probe=Probe("http", ports["prometheus"], path="/-/ready", within_s=60),
        memory_mib=share.memory_mib,
        cpus=share.cpus,
    )


def _jobs(part: Workload, server_name: str, turn_port: int) -> list[dict[str, Any]]:
    told = [listen.port for listen in part.listens if listen.use == "metrics"]
    if part.name == "bridge":
        told = [listen.port for listen in part.listens if listen.use == "http"]
    if part.name == "turn":
        told = [turn_port]
    path = next((at for start, at in _PATHS.items() if part.name.startswith(start)), "/metrics")
    return [
        {
            "job_name": part.name,
            "metrics_path": path,
            "static_configs": [
                {"targets": [f"127.0.0.1:{port}"], "labels": {"server": server_name}}
            ],
        }
        for port in told
    ]


def _grafana(site: Site, layout: Layout, ports: Mapping[str, int]) -> Workload:
    config = layout.config / "grafana"
    ini = {
        "server": {"http_addr": "127.0.0.1", "http_port": str(ports["grafana"])},
        "paths": {
            "data": str(layout.state / "grafana"),
            "provisioning": str(config / "provisioning"),
        },
        # It calls nobody: no updates, no statistics, no avatars.
        "analytics": {
            "reporting_enabled": "false",
            "check_for_updates": "false",
            "check_for_plugin_updates": "false",
        },
        "security": {
            "admin_password": f"$__file{{{layout.secret('grafana-password')}}}",
            "disable_gravatar": "true",
            "cookie_samesite": "strict",
        },
        "users": {"allow_sign_up": "false"},
        "auth.anonymous": {"enabled": "false"},
        "snapshots": {"external_enabled": "false"},
        "plugins": {"public_key_retrieval_disabled": "true"},
    }
    source = {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "site",
                "uid": "site",
                "type": "prometheus",
                "access": "proxy",
                "url": f"http://127.0.0.1:{ports['prometheus']}",
                "isDefault": True,
            }
        ],
    }
    boards = {
        "apiVersion": 1,
        "providers": [
            {"name": "rabta", "type": "file", "options": {"path": str(config / "dashboards")}}
        ],
    }
    share = SIZES[site.size].small
    return Workload(
        name="grafana",
        says="Shows an operator how the site is.",
        command=(
            *("/usr/sbin/grafana-server", f"--config={config / 'grafana.ini'}"),
            "--homepath=/usr/share/grafana",
        ),
        files={
            "grafana/grafana.ini": "".join(
                f"[{section}]\n" + "".join(f"{key} = {said}\n" for key, said in lines.items())
                for section, lines in ini.items()
            ),
            "grafana/provisioning/datasources/site.yaml": yaml.safe_dump(source, sort_keys=False),
            "grafana/provisioning/dashboards/site.yaml": yaml.safe_dump(boards, sort_keys=False),
            "grafana/dashboards/site.json": json.dumps(dashboard(site.server_name), indent=2)
            + "\n",
        },
        secrets=("grafana-password",),
        listens=(Listen("http", "127.0.0.1", ports["grafana"]),),
        state=("grafana",),
        after=("prometheus",),
        probe=Probe("http", ports["grafana"], path="/api/health", within_s=60),
        memory_mib=share.memory_mib,
        cpus=share.cpus,
    )
