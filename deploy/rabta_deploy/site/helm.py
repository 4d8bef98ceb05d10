"""A site as a Helm chart: one pod, whose containers meet on its loopback.

A homeserver's processes share a network namespace so that nothing between them crosses a wire.
Kubernetes starts the containers in order: each but the last is a sidecar with a start-up probe.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from rabta_deploy.site.containers import (
    CONFIG,
    SECRETS,
    STATE,
    USERS,
    probe_command,
    state_mounts,
)
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.parts import in_order
from rabta_deploy.site.workload import Workload

_LABELS = {"app.kubernetes.io/name": "rabta", "app.kubernetes.io/managed-by": "Helm"}
_IMAGE = "{{ .Values.image }}"


def files(site: Site, parts: Sequence[Workload], layout: Layout) -> Mapping[str, str]:
    """File name -> text of the chart."""
    name = f"rabta-{site.organisation.lower()}"
    ordered = [part for group in in_order(tuple(parts)) for part in group]
    objects = {
        "configmap": _config_map(name, parts),
        "statefulset": _stateful_set(name, ordered, layout),
        "service": _service(name, parts),
        "networkpolicy": _network_policy(name, parts),
        "serviceaccount": {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": _metadata(name),
            "automountServiceAccountToken": False,
        },
    }
    chart = {
        "apiVersion": "v2",
        "name": name,
        "description": f"Rabta: the site of {site.server_name}",
        "type": "application",
        "version": "0.1.0",
        "kubeVersion": ">=1.29.0-0",
    }
    values = {"image": "", "secretName": f"{name}-secrets", "storage": "20Gi"}
    return {
        "Chart.yaml": _yaml(chart),
        "values.yaml": _yaml(values),
        **{f"templates/{kind}.yaml": _yaml(found) for kind, found in objects.items()},
    }


def _metadata(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": "{{ .Release.Namespace }}", "labels": dict(_LABELS)}


def _key(path: str) -> str:
    return path.replace("/", "_-_")


def _config_map(name: str, parts: Sequence[Workload]) -> dict[str, Any]:
    data = {
        # What looks like a template to Helm is none of ours.
        _key(path): "{{ `" + text + "` }}" if "{{" in text else text
        for part in parts
        for path, text in part.files.items()
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(name), "data": data}


def _stateful_set(name: str, ordered: Sequence[Workload], layout: Layout) -> dict[str, Any]:
    containers = [_container(part, layout) for part in ordered]
    sidecars = [{**container, "restartPolicy": "Always"} for container in containers[:-1]]
    paths = [path for part in ordered for path in part.files]
    pod = {
        "serviceAccountName": name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": max(part.stop_s for part in ordered) * 2,
        "securityContext": {
            "runAsNonRoot": True,
            "fsGroup": USERS["rabta"],
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": sidecars,
        "containers": containers[-1:],
        "volumes": [
            {
                "name": "config",
                "configMap": {
                    "name": name,
                    "items": [{"key": _key(path), "path": path} for path in paths],
                },
            },
            {
                "name": "secrets",
                "secret": {"secretName": "{{ .Values.secretName }}", "defaultMode": 0o440},
            },
            {"name": "tmp", "emptyDir": {"medium": "Memory"}},
        ],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": _metadata(name),
        "spec": {
            "serviceName": name,
            # Never two of one homeserver.
            "replicas": 1,
            "selector": {"matchLabels": dict(_LABELS)},
            "template": {"metadata": {"labels": dict(_LABELS)}, "spec": pod},
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "state"},
                    "spec": {
                        "accessModes": ["ReadWriteOncePod"],
                        "resources": {"requests": {"storage": "{{ .Values.storage }}"}},
                    },
                }
            ],
        },
    }


def _container(part: Workload, layout: Layout) -> dict[str, Any]:
    probe = {"exec": {"command": probe_command(part, layout)}, "timeoutSeconds": 5}
    resources = {"memory": f"{part.memory_mib}Mi", "cpu": f"{round(part.cpus * 1000)}m"}
    return {
        "name": part.name,
        "image": _IMAGE,
        "command": list(part.command),
        "env": [{"name": name, "value": said} for name, said in part.environment.items()],
        "ports": [
            {"name": f"p{listen.port}", "containerPort": listen.port}
            for listen in part.listens
            if listen.tls
        ],
        "resources": {
            "limits": resources,
            "requests": {
                "memory": f"{part.memory_mib // 2}Mi",
                "cpu": f"{round(part.cpus * 250)}m",
            },
        },
        "startupProbe": {
            **probe,
            "periodSeconds": 2,
            "failureThreshold": max(1, part.probe.within_s // 2),
        },
        "livenessProbe": {**probe, "periodSeconds": 15, "failureThreshold": 4},
        "readinessProbe": {**probe, "periodSeconds": 5, "failureThreshold": 2},
        "securityContext": {
            "runAsUser": USERS[part.user],
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "capabilities": {
                "drop": ["ALL"],
                **({"add": ["NET_BIND_SERVICE"]} if part.binds_low_port else {}),
            },
        },
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG, "readOnly": True},
            *(
                {
                    "name": "secrets",
                    "mountPath": f"{SECRETS}/{secret}",
                    "subPath": secret,
                    "readOnly": True,
                }
                for secret in part.secrets
            ),
            *(
                # What the operator brings lies in the same Secret, under its path.
                {
                    "name": "secrets",
                    "mountPath": file,
                    "subPath": _key(file.lstrip("/")),
                    "readOnly": True,
                }
                for file in part.reads
            ),
            *(
                {"name": "state", "mountPath": f"{STATE}/{at}", "subPath": at}
                for at in state_mounts(part)
            ),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - of the container
        ],
    }


def _faces(parts: Sequence[Workload]) -> list[tuple[str, int]]:
    return [
        (f"{part.name}-{listen.use}", listen.port)
        for part in parts
        for listen in part.listens
        if listen.tls
    ]


def _service(name: str, parts: Sequence[Workload]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(name),
        "spec": {
            "selector": dict(_LABELS),
            "ports": [
                {"name": use[:15], "port": port, "targetPort": port} for use, port in _faces(parts)
            ],
        },
    }


def _network_policy(name: str, parts: Sequence[Workload]) -> dict[str, Any]:
    """In: the TLS faces alone. Out: names are looked up, and TLS; the gateway does the rest."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(name),
        "spec": {
            "podSelector": {"matchLabels": dict(_LABELS)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"ports": [{"port": port, "protocol": "TCP"} for _, port in _faces(parts)]}
            ],
            "egress": [
                {
                    "ports": [
                        {"port": 53, "protocol": "UDP"},
                        {"port": 53, "protocol": "TCP"},
                        {"port": 443, "protocol": "TCP"},
                        {"port": 5432, "protocol": "TCP"},
                        {"port": 8448, "protocol": "TCP"},
                    ]
                }
            ],
        },
    }


def _yaml(document: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=10_000)
