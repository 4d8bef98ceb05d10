"""`make bench`: every bench in one run, one table."""

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from rabta_deploy.bench.bridge import bridge
from rabta_deploy.bench.decisions import decisions
from rabta_deploy.bench.measure import Line, Skipped, show
from rabta_deploy.bench.messages import messages
from rabta_deploy.bench.reload import reload
from rabta_deploy.bench.share import share
from rabta_deploy.fault import YardError

POLICY = Path(__file__).parents[3] / "config/demo-policy.yaml"
BENCHES: dict[str, Callable[[Path], Sequence[Line]]] = {
    "decisions": decisions,
    "messages": messages,
    "reload": reload,
    "share": share,
    "bridge": bridge,
}


@click.command()
@click.option("--only", type=click.Choice(sorted(BENCHES)), help="One bench instead of all.")
def main(only: str | None) -> None:
    """Measure what our parts cost, as ratios within one run."""
    lines: list[Line] = []
    for name, bench in BENCHES.items():
        if only in (None, name):
            click.echo(f"measuring {name} ...", err=True)
            try:
                lines += bench(POLICY)
            except YardError as fault:
                lines.append(Skipped(name, str(fault)))
    show(lines)


if __name__ == "__main__":
    main()
