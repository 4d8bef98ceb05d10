"""What is rendered, as text: what must hold of every program, whichever comes next."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from rabta_deploy.fault import YardError
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import SYSTEM, below, ports
from rabta_deploy.site.parts import in_order, workloads
from rabta_deploy.site.rendering import config_files, rendered, write
from rabta_deploy.site.secrets_of_site import make_secrets, wanted_secrets


def load(text: str) -> Any:
    """YAML, by the fast loader: the charts are long."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


SIZES = ("trial", "ministry", "large")


@pytest.fixture(params=SIZES, scope="module")
def site(request: pytest.FixtureRequest, whole: Site) -> Site:
    return whole.model_copy(update={"size": request.param})


@pytest.fixture(scope="module")
def texts(site: Site) -> Mapping[str, str]:
    return rendered(site)


def helm_objects(texts: Mapping[str, str]) -> dict[str, Any]:
    """The chart's objects with its values filled in, as `helm template` would."""
    values = load(texts["helm/values.yaml"]) | {"image": "rabta@sha256:0"}
    found = {}
    for path, text in texts.items():
        if not path.startswith("helm/templates/"):
            continue
        filled = re.sub(r"\{\{ \.Values\.(\w+) \}\}", lambda match: values[match[1]], text)
        filled = filled.replace("{{ .Release.Namespace }}", "itt")
        document = load(filled)
        found[document["kind"]] = document
    return found


def containers(texts: Mapping[str, str]) -> list[dict[str, Any]]:
    pod = helm_objects(texts)["StatefulSet"]["spec"]["template"]["spec"]
    return [*pod["initContainers"], *pod["containers"]]


def services(texts: Mapping[str, str]) -> dict[str, Any]:
    document = load(texts["compose/compose.yaml"])
    return dict(document["services"])


def units(texts: Mapping[str, str]) -> dict[str, list[str]]:
    return {
        path.removeprefix("systemd/rabta-").removesuffix(".service"): text.splitlines()
        for path, text in texts.items()
        if path.endswith(".service")
    }


def test_the_same_site_gives_the_same_bytes(whole: Site) -> None:
    assert dict(rendered(whole)) == dict(rendered(whole.model_copy(deep=True)))


def test_no_secret_stands_in_what_is_rendered(tmp_path: Path, whole: Site) -> None:
    layout = below(tmp_path)
    make_secrets(whole, layout)
    secrets = {
        file.name: file.read_text().strip()
        for file in layout.secrets.iterdir()
        if file.name not in {"turn.db", "redis.acl"}
    }
    assert len(secrets) >= 10
    texts = "\n".join(rendered(whole, layout).values())
    assert [name for name, secret in secrets.items() if secret in texts] == []


def test_every_secret_that_a_part_reads_is_made_or_comes_with_the_database(
    tmp_path: Path, whole: Site
) -> None:
    layout = below(tmp_path)
    make_secrets(whole, layout)
    there = {file.name for file in layout.secrets.iterdir()}
    with_database = {"database-password", "bridge-database-password"}
    assert wanted_secrets(whole, layout) - there == with_database
    assert {file.stat().st_mode & 0o777 for file in layout.secrets.iterdir()} == {0o600}


def test_secrets_are_made_once(tmp_path: Path, whole: Site) -> None:
    layout = below(tmp_path)
    make_secrets(whole, layout)
    before = {file.name: file.read_bytes() for file in layout.secrets.iterdir()}
    assert make_secrets(whole, layout) == []
    assert before == {file.name: file.read_bytes() for file in layout.secrets.iterdir()}


def test_every_socket_is_on_the_loopback_or_speaks_tls(site: Site) -> None:
    clear = [
        (part.name, listen.use)
        for part in workloads(site, SYSTEM)
        for listen in part.listens
        if not listen.tls and listen.host != "127.0.0.1"
    ]
    assert clear == []


def test_no_two_sockets_share_a_port(site: Site) -> None:
    used = [
        (listen.host, listen.port) for part in workloads(site, SYSTEM) for listen in part.listens
    ]
    assert len(used) == len(set(used))


def test_a_larger_size_moves_no_port_of_a_part_that_was_there(whole: Site) -> None:
    small, large = (ports(whole.model_copy(update={"size": size})) for size in ("trial", "large"))
    single = [use for use in small if " " not in use or use.startswith(("router", "gateway"))]
    assert {use: small[use] for use in single} == {use: large[use] for use in single}


def test_every_synapse_process_loads_the_door(site: Site, texts: Mapping[str, str]) -> None:
    shared = load(texts["etc/synapse/homeserver.yaml"])
    assert [module["module"] for module in shared["modules"]] == ["rabta_synapse.Door"]
    for part in workloads(site, SYSTEM):
        if "synapse.app" in " ".join(part.command):
            assert part.door
            assert str(SYSTEM.config / "synapse/homeserver.yaml") in part.command
            assert "--no-secrets-in-config" in part.command


def test_every_process_that_the_plan_names_is_behind_the_router(
    site: Site, texts: Mapping[str, str]
) -> None:
    text = texts["etc/router/nginx.conf"]
    for part in workloads(site, SYSTEM):
        for listen in part.listens:
            if part.door and listen.use == "http":
                assert f"server 127.0.0.1:{listen.port} " in text


def test_scim_is_behind_the_router_and_what_the_operator_asks_is_not(
    whole: Site, texts: Mapping[str, str]
) -> None:
    (part,) = (one for one in workloads(whole, SYSTEM) if one.name == "staff")
    router = texts["etc/router/nginx.conf"]
    (before, location) = router.split("location /scim/v2/ {")
    assert location.partition("}")[0].strip() == f"proxy_pass http://127.0.0.1:{part.probe.port};"
    assert "ssl;" in before.rpartition("    server {")[2]
    assert router.count(f":{part.probe.port};") == 1
    settings = load(texts["etc/staff.yaml"])
    assert settings["public_url"] == "https://chat.itt.gov.test/scim/v2"
    bridge = load(texts["etc/bridge.yaml"])
    assert bridge["directory_file"] == settings["directory_file"]


def test_every_part_starts_after_what_it_needs(site: Site) -> None:
    groups = [{part.name for part in group} for group in in_order(workloads(site, SYSTEM))]
    assert {"postgres", "redis"} <= groups[0]
    assert "synapse-main" in groups[1]
    assert not any(name.startswith("synapse") for name in groups[0])
    assert "router" in groups[2]
    assert "staff" in groups[3]
    # It reads the directory that the staff service writes.
    assert "bridge" in groups[4]


def test_every_unit_is_shut_in(site: Site, texts: Mapping[str, str]) -> None:
    found = units(texts)
    assert found.keys() == {part.name for part in workloads(site, SYSTEM)}
    for name, lines in found.items():
        said = dict(line.partition("=")[::2] for line in lines if "=" in line)
        assert said["NoNewPrivileges"] == "yes", name
        assert said["ProtectSystem"] == "strict", name
        assert said["CapabilityBoundingSet"] in {"", "CAP_NET_BIND_SERVICE"}, name
        assert said["User"] in {"rabta", "postgres"}, name
        assert said["MemoryMax"].endswith("M"), name
        assert said["CPUQuota"].endswith("%"), name
        assert said["Restart"] == "always", name
        assert "rabta_deploy.site.ready" in said["ExecStartPost"], name


def test_no_unit_sees_what_another_keeps(site: Site, texts: Mapping[str, str]) -> None:
    parts = workloads(site, SYSTEM)
    for part in parts:
        own = {name.partition("/")[0] for name in part.state}
        others = {name.partition("/")[0] for one in parts for name in one.state} - own
        lines = units(texts)[part.name]
        (hidden,) = (line for line in lines if line.startswith("InaccessiblePaths="))
        assert {f"-{SYSTEM.state / name}" for name in others} <= set(hidden.split("=")[1].split())


def test_every_service_is_shut_in(site: Site, texts: Mapping[str, str]) -> None:
    found = services(texts)
    assert found.keys() == {part.name for part in workloads(site, SYSTEM)}
    for name, service in found.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert set(service.get("cap_add", [])) <= {"NET_BIND_SERVICE"}, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["user"]) > 1000, name
        assert service["mem_limit"], name
        assert service["cpus"] > 0, name
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert "privileged" not in service, name
        assert "environment" not in service or "SECRET" not in str(service["environment"]), name


def test_every_service_waits_for_services_and_mounts_volumes_that_are_there(
    texts: Mapping[str, str],
) -> None:
    document = load(texts["compose/compose.yaml"])
    for name, service in document["services"].items():
        assert set(service.get("depends_on", {})) <= document["services"].keys(), name
        assert {one["source"] for one in service["secrets"]} <= document["secrets"].keys(), name
        named = {one.partition(":")[0] for one in service["volumes"] if one[0] not in "./"}
        assert named <= document["volumes"].keys(), name


def test_every_container_is_shut_in(site: Site, texts: Mapping[str, str]) -> None:
    found = containers(texts)
    assert {one["name"] for one in found} == {part.name for part in workloads(site, SYSTEM)}
    for container in found:
        name, shut_in = container["name"], container["securityContext"]
        assert shut_in["runAsNonRoot"] is True, name
        assert shut_in["runAsUser"] > 1000, name
        assert shut_in["readOnlyRootFilesystem"] is True, name
        assert shut_in["allowPrivilegeEscalation"] is False, name
        assert shut_in["capabilities"]["drop"] == ["ALL"], name
        assert container["resources"]["limits"].keys() == {"memory", "cpu"}, name
        assert container.keys() >= {"startupProbe", "livenessProbe", "readinessProbe"}, name


def test_the_charts_objects_are_what_kubernetes_takes(texts: Mapping[str, str]) -> None:
    objects = helm_objects(texts)
    assert objects.keys() == {
        "ConfigMap",
        "StatefulSet",
        "Service",
        "NetworkPolicy",
        "ServiceAccount",
    }
    for document in objects.values():
        kubernetes_validate.validate(document, "1.29", strict=True)


def test_the_chart_holds_every_configuration_file(texts: Mapping[str, str]) -> None:
    objects = helm_objects(texts)
    volumes = objects["StatefulSet"]["spec"]["template"]["spec"]["volumes"]
    items = volumes[0]["configMap"]["items"]
    shown = {item["path"]: objects["ConfigMap"]["data"][item["key"]] for item in items}
    told = {path.removeprefix("etc/"): text for path, text in texts.items() if path[:4] == "etc/"}
    assert shown.keys() == told.keys()
    plain = {path for path, text in told.items() if "{{" not in text}
    assert {path: shown[path] for path in plain} == {path: told[path] for path in plain}
    assert {shown[path] for path in told.keys() - plain} == {
        "{{ `" + told[path] + "` }}" for path in told.keys() - plain
    }


def test_the_homeserver_is_closed_where_matrix_is_open_by_default(
    texts: Mapping[str, str],
) -> None:
    said = load(texts["etc/synapse/homeserver.yaml"])
    wanted = {
        "enable_registration": False,
        "allow_guest_access": False,
        "url_preview_enabled": False,
        "allow_public_rooms_over_federation": False,
        "allow_device_name_lookup_over_federation": False,
        "enable_authenticated_media": True,
        "encryption_enabled_by_default_for_room_type": "all",
        "trusted_key_servers": [],
        "report_stats": False,
        "federation_domain_whitelist": [],
        "push": {"enabled": True, "include_content": False},
    }
    assert {key: said[key] for key in wanted} == wanted
    (provider,) = said["oidc_providers"]
    assert provider["enable_registration"] is False
    assert provider["attribute_requirements"] == [{"attribute": "acr", "one_of": ["mfa"]}]


def test_synapse_itself_destroys_nothing_that_people_wrote(texts: Mapping[str, str]) -> None:
    said = load(texts["etc/synapse/homeserver.yaml"])
    wanted = {
        # Else a moderator's `m.room.retention` destroys, whatever the category and the holds.
        "retention": {"enabled": False},
        "media_retention": {},
        "redaction_retention_period": None,
        "forgotten_room_retention_period": None,
    }
    assert {key: said[key] for key in wanted} == wanted


def test_whom_the_site_calls_is_told_by_name(texts: Mapping[str, str]) -> None:
    rows = {(row["part"], row["host"]) for row in json.loads(texts["contacts.json"])}
    assert ("push", "fcm.googleapis.com") in rows
    assert ("synapse-main", "login.itt.gov.test") in rows
    assert ("bridge", "eoffice.itt.gov.test") in rows


def test_a_rendering_removes_what_it_does_not_write_any_more(tmp_path: Path, whole: Site) -> None:
    write(rendered(whole), tmp_path / "out")
    smaller = whole.model_copy(update={"push": None, "monitoring": None})
    write(rendered(smaller), tmp_path / "out")
    there = {
        str(file.relative_to(tmp_path / "out"))
        for file in (tmp_path / "out").rglob("*")
        if file.is_file()
    }
    assert there == {*rendered(smaller), ".rabta-site"}
    assert write(rendered(smaller), tmp_path / "out") == 0


def test_a_rendering_overwrites_nobody_elses_files(tmp_path: Path, whole: Site) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(YardError) as caught:
        write(rendered(whole), tmp_path)
    assert caught.value.reason == "output-not-ours"


def test_without_the_optional_parts_their_programs_are_not_there(whole: Site) -> None:
    bare = whole.model_copy(
        update={
            "federation": None,
            "eoffice": None,
            "calls": None,
            "push": None,
            "monitoring": None,
        }
    )
    names = {part.name for part in workloads(bare, SYSTEM)}
    assert not names & {"gateway", "bridge", "turn", "push", "prometheus", "grafana"}
    shared = load(config_files(workloads(bare, SYSTEM))["synapse/homeserver.yaml"])
    assert "outbound_federation_restricted_to" not in shared
