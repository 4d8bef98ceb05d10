"""`make bench`: every bench in one run, one table."""

from collections.abc import Callable
from pathlib import Path

import click

from rabta_deploy.bench.decisions import decisions
from rabta_deploy.bench.measure import Measure, show

ROOT = Path(__file__).parents[3]
BENCHES: dict[str, Callable[[], list[Measure]]] = {
    "decisions": lambda: decisions(ROOT / "config/demo-policy.yaml")
}


@click.command()
@click.option("--only", type=click.Choice(sorted(BENCHES)), help="One bench instead of all.")
def main(only: str | None) -> None:
    """Measure what our parts cost, as ratios within one run."""
    measures = [
        measure for name, bench in BENCHES.items() if only in (None, name) for measure in bench()
    ]
    show(measures)


if __name__ == "__main__":
    main()
