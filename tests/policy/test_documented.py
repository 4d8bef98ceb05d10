"""Rules and codes stand in the docs, in the code and in the tests under the same numbers."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from rabta_deploy.cli.policy import policy as command
from rabta_policy import Authority, ReasonCode, load_document, parse_cases
from rabta_policy.permits import Permit
from rabta_policy.reasons import CATALOGUE

ROOT = Path(__file__).parents[2]
RULES = (ROOT / "docs/reference/rules.md").read_text(encoding="utf-8")
CODES = (ROOT / "docs/reference/reason-codes.md").read_text(encoding="utf-8")
EXPLAIN = (ROOT / "docs/how-to/explain-a-decision.md").read_text(encoding="utf-8")
CASES = ROOT / "config/cases.example.yaml"
SOURCES = sorted((ROOT / "synapse_modules/rabta_policy").glob("*.py"))


def sections(text: str, mark: str) -> dict[str, str]:
    """The headings of a page, each with what stands below it."""
    parts = re.split(rf"^{mark} (.+)$", text, flags=re.MULTILINE)[1:]
    return {title.strip("`"): body for title, body in zip(parts[::2], parts[1::2], strict=True)}


def test_every_rule_of_the_code_has_its_heading_and_the_docs_have_no_other() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    in_comments = set(re.findall(r"\bR\d+\b", " ".join(re.findall(r"#.*", code))))
    in_words = {wording.rule for wording in CATALOGUE.values()}
    assert set(sections(RULES, "##")) == in_comments == in_words


def test_every_rule_lists_exactly_its_codes() -> None:
    for rule, text in sections(RULES, "##").items():
        listed = re.findall(r"`([a-z-]+)`", text.split("Codes:")[1])
        assert listed == [str(code) for code, words in CATALOGUE.items() if words.rule == rule]


def test_every_code_has_its_heading_with_its_rule_and_the_judges_part_has_no_other() -> None:
    judge = CODES.split("## Codes of a policy that is not believed")[0]
    found = sections(judge, "###")
    assert list(found) == [str(code) for code in ReasonCode]
    for code, text in found.items():
        rule = CATALOGUE[ReasonCode(code)].rule
        assert text.strip().startswith(f"[{rule}](rules.md#{rule.lower()}).")


def test_every_code_of_a_refused_file_has_its_heading() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    raised = set(re.findall(r'"((?:policy|authority|cases)-[a-z-]+)"', code))
    refused = raised - {str(one) for one in ReasonCode}
    assert refused == set(sections(CODES.split("not believed")[1], "###"))


def test_the_ten_cases_of_the_docs_are_those_of_the_table() -> None:
    told = [title.partition(". ")[2] for title in sections(EXPLAIN, "##")]
    cases = parse_cases(CASES.read_text(encoding="utf-8")).cases
    assert len(cases) == 10
    assert told == [case.name for case in cases]


@pytest.mark.parametrize("title", list(sections(EXPLAIN, "##")))
def test_the_command_of_the_docs_prints_what_the_docs_show(
    title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    shown = re.search(r"```console\n\$ (.+)\n((?:.*\n)+?)```", sections(EXPLAIN, "##")[title])
    assert shown is not None
    program, group, *words = shlex.split(shown[1])
    result = CliRunner().invoke(command, words)
    assert (program, group, result.output) == ("rabta", "policy", shown[2])
    assert result.exit_code == (0 if "ALLOWED" in shown[2] else 1)


def test_the_yaml_of_the_pages_is_valid() -> None:
    signing = (ROOT / "docs/how-to/sign-a-policy.md").read_text(encoding="utf-8")
    document = (ROOT / "docs/reference/policy-document.md").read_text(encoding="utf-8")
    (authority,) = re.findall(r"```yaml\n(.*?)```", signing, flags=re.DOTALL)
    assert Authority.parse(authority).threshold == 2
    (permits,) = re.findall(r"```yaml\n(.*?)```", document, flags=re.DOTALL)
    for item in load_document(permits)["permits"]:
        assert Permit.model_validate(item).order == "4-12/2026-IT-I"


def test_every_command_is_told_of_in_the_docs() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    for name in command.commands:
        assert f"rabta policy {name}" in pages
