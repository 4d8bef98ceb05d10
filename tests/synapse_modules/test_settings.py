"""Settings: all faults at once, and nothing starts on a guess."""

import re
from pathlib import Path

import pytest
import yaml
from network_policy import Seal
from prometheus_client import Counter, Gauge
from synapse.module_api.errors import ConfigError

from rabta_synapse import Door, metrics

PAGE = Path(__file__).parents[2] / "docs/reference/door-settings.md"


def test_every_fault_of_the_settings_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as told:
        Door.parse_config({"policy_file": "relative.json", "polcy": 1, "reload_interval_ms": 5})
    for fault in ("policy_file", "authority_file", "polcy", "reload_interval_ms"):
        assert fault in str(told.value)


def test_without_the_authoritys_keys_nothing_starts(tmp_path: Path) -> None:
    config = {"policy_file": "/p.json", "authority_file": str(tmp_path / "absent.yaml")}
    with pytest.raises(ConfigError, match="no policy can be believed"):
        Door.parse_config(config)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("threshold: 3\nkeys: {}\n")
    with pytest.raises(ConfigError, match="authority-malformed"):
        Door.parse_config({**config, "authority_file": str(wrong)})


def test_the_documented_settings_are_taken_and_every_setting_has_a_heading(
    tmp_path: Path,
) -> None:
    seal = Seal(tmp_path)
    text = PAGE.read_text()
    documented = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    config = documented["modules"][0]["config"] | {"authority_file": str(seal.authority_file)}
    settings = Door.parse_config(config).settings
    assert str(settings.policy_file) == config["policy_file"]
    assert documented["federation_domain_whitelist"] == []
    for name in type(settings).model_fields:
        assert f"### {name}\n" in text


def test_every_metric_has_its_row_and_no_label_that_grows() -> None:
    told = {
        sample.name if isinstance(made, Gauge) else f"{sample.name}_total": made._labelnames
        for made in vars(metrics).values()
        if isinstance(made, Counter | Gauge)
        for sample in made.describe()
    }
    rows = re.findall(r"^\| `(rabta_door_\w+)` \| ([\w, ]*) ?\|", PAGE.read_text(), re.MULTILINE)
    written = {name: tuple(filter(None, labels.strip().split(", "))) for name, labels in rows}
    assert written == told
    assert {label for labels in told.values() for label in labels} == {
        "action",
        "verdict",
        "reason",
        "callback",
        "type",
    }
