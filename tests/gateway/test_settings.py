"""Settings are strict, their faults are told all at once, and the docs name every key."""

import re
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from pydantic import BaseModel

from rabta_deploy.cli.gateway import gateway as command
from rabta_gateway.settings import Settings, SettingsError, load, parse

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config/gateway.example.yaml"
PAGE = ROOT / "docs/reference/gateway-settings.md"


def example(**changes: Any) -> str:
    return yaml.safe_dump({**yaml.safe_load(EXAMPLE.read_text()), **changes})


def test_the_example_and_every_settings_block_of_the_page_are_taken() -> None:
    blocks = re.findall(
        r"^```yaml\n(server_name.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )

    parsed = [parse(text) for text in [EXAMPLE.read_text(), *blocks]]

    assert {settings.server_name for settings in parsed} == {"itt.gov.test"}
    assert len(parsed) == 2


def test_the_page_has_a_heading_for_every_key_and_no_other() -> None:
    headings = re.findall(r"^### `([a-z_.]+)`$", PAGE.read_text(), re.MULTILINE)

    assert sorted(headings) == sorted(keys(Settings))


def keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    found = []
    for name, info in model.model_fields.items():
        kinds = [info.annotation, *getattr(info.annotation, "__args__", ())]
        inner = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        found += keys(inner[0], f"{prefix}{name}.") if inner else [prefix + name]
    return found


def test_all_faults_are_told_at_once_with_path_and_cure() -> None:
    document = yaml.safe_load(EXAMPLE.read_text())
    document["sever_name"] = document.pop("server_name")
    document["inbound"]["port"] = 70000
    document["inbound"]["upstream"] = "https://127.0.0.1:8009/path"
    document["policy_poll_seconds"] = 5

    with pytest.raises(SettingsError) as error:
        parse(yaml.safe_dump(document))

    assert sorted(fault.path for fault in error.value.faults) == [
        "inbound.port",
        "inbound.upstream",
        "policy_poll_seconds",
        "server_name",
        "sever_name",
    ]
    assert all(fault.cure for fault in error.value.faults)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("outbound", "host", "0.0.0.0"),  # noqa: S104 - to be refused
        ("outbound", "host", "localhost"),
        ("metrics", "host", "192.0.2.1"),
        ("inbound", "upstream", "http://192.0.2.1:8008"),
    ],
)
def test_clear_text_beyond_this_machine_needs_the_dangerous_setting(
    part: str, key: str, value: str
) -> None:
    document = yaml.safe_load(EXAMPLE.read_text())
    document[part][key] = value

    with pytest.raises(SettingsError, match=f"{part}.{key} must be a loopback address"):
        parse(yaml.safe_dump(document))
    assert parse(yaml.safe_dump({**document, "cleartext_beyond_loopback_dangerous": True}))


@pytest.mark.parametrize(
    "text", ["server_name: a.test\nserver_name: b.test\n", "a: [", "- 1\n", "!!python/name:os {}"]
)
def test_what_is_no_plain_document_is_refused(text: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse(text)

    assert error.value.faults[0].path == "document"


def test_every_file_that_cannot_be_used_is_named(network: Any) -> None:
    document = network.settings()
    Path(document["outbound"]["secret_file"]).chmod(0o644)
    document["policy_file"] = str(network.directory / "missing.json")
    document["state_file"] = str(network.directory / "nowhere" / "serial.json")
    file = network.directory / "gateway.yaml"
    file.write_text(yaml.safe_dump(document))

    with pytest.raises(SettingsError) as error:
        load(file)

    paths = [fault.path for fault in error.value.faults]
    assert paths == ["policy_file", "outbound.secret_file", "state_file"]


def test_the_command_says_faults_in_words_and_exits_with_2(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(example(unknown=1))

    result = CliRunner().invoke(command, ["run", "--config", str(file)])

    assert result.exit_code == 2
    assert "unknown: Extra inputs are not permitted. Cure: remove the key" in result.stderr
    assert "Traceback" not in result.output


def test_a_taken_port_is_said_in_words_and_exits_with_2(network: Any) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        document = network.settings()
        document["inbound"]["port"] = port
        file = network.directory / "gateway.yaml"
        file.write_text(yaml.safe_dump(document))

        result = CliRunner().invoke(command, ["run", "--config", str(file)])

    assert result.exit_code == 2
    assert f"inbound: 127.0.0.1:{port} is taken. Cure: stop what listens there" in result.stderr


def test_check_reads_everything_and_listens_nowhere(network: Any) -> None:
    file = network.directory / "gateway.yaml"
    file.write_text(yaml.safe_dump(network.settings()))

    result = CliRunner().invoke(command, ["check", "--config", str(file)])

    assert result.output == "The settings hold. Policy 1: in-force.\n"
