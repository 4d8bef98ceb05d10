"""`make bench`: every bench in one run, one table."""

from collections.abc import Callable
from pathlib import Path

import click

from rabta_deploy.bench.bridge import bridge
from rabta_deploy.bench.decisions import decisions
from rabta_deploy.bench.measure import Measure, show
from rabta_deploy.bench.sends import sends
from rabta_deploy.bench.share import share

POLICY = Path(__file__).parents[3] / "config/demo-policy.yaml"
BENCHES: dict[str, Callable[[Path], list[Measure]]] = {
    "decisions": decisions,
    "sends": sends,
    "share": share,
    "bridge": bridge,
}


@click.command()
@click.option("--only", type=click.Choice(sorted(BENCHES)), help="One bench instead of all.")
def main(only: str | None) -> None:
    """Measure what our parts cost, as ratios within one run."""
    chosen = [bench for name, bench in BENCHES.items() if only in (None, name)]
    show([measure for bench in chosen for measure in bench(POLICY)])


if __name__ == "__main__":
    main()
