"""Every reason the demo gives has a heading in the page that helps."""

import ast
import subprocess
import sys
from pathlib import Path

from rabta_deploy.fault import YardError

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/start/when-the-demo-does-not-start.md"
# Given where many workers run, or by a programmer's mistake; never by the demo.
ELSEWHERE = {
    "not-started",
    "no-answer",
    "officer-ended",
    "nginx-missing",
    "redis-missing",
    "whoami-refused",
}


def of_the_demo() -> list[Path]:
    """The files of the yard that `rabta demo` loads, in a process of its own."""
    code = (
        "import sys, rabta_deploy.cli.demo, rabta_deploy.page\n"
        "print(*[m.__file__ for n, m in sys.modules.items() if n.startswith('rabta_deploy.')])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return [Path(name) for name in loaded.stdout.split()]


def raised() -> set[str]:
    """First argument of every fault made in the demo, where it is written out."""
    found = set()
    for file in of_the_demo():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                made = node.func.id.endswith("Error") or node.func.id in {"_expect", "_require"}
                texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
                words = [text for text in texts if isinstance(text, str)]
                if made and words and "-" in words[0] and " " not in words[0]:
                    found.add(words[0])
    return found


def test_every_reason_has_a_heading_and_every_heading_a_reason() -> None:
    headings = {line[3:] for line in PAGE.read_text().splitlines() if line.startswith("## ")}

    reasons = raised()

    assert {"port-taken", "tool-missing", "card-not-encrypted"} <= reasons
    assert reasons - ELSEWHERE - headings == set()


def test_a_fault_says_what_why_and_what_to_do() -> None:
    fault = YardError("port-taken", "Taken already: port 1.", "stop it")

    assert str(fault) == "Taken already: port 1. [port-taken] Cure: stop it"
