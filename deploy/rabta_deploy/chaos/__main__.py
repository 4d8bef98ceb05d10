"""`make chaos`: the house, the load and the havoc; one line at the end, and 0 only on zeros."""

import asyncio
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import click

from rabta_deploy.chaos.house import House, Size
from rabta_deploy.chaos.run import Run, Wanted
from rabta_deploy.chaos.steps import MOMENTS

_SEED_BYTES = 4


def _clock() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the clock of this program


@click.command()
@click.option("--events", default=2000, help="Events that e-Office tells, at least.")
@click.option("--decisions", default=300, help="Decisions that officers confirm in chat, at least.")
@click.option("--files", default=None, type=int, help="Files that go round; a tenth of events.")
@click.option("--officers", default=4, help="Officers, each with a client.")
@click.option("--posts", default=6, help="Posts that each officer holds.")
@click.option(
    "--at",
    multiple=True,
    type=click.Choice([str(moment) for moment in MOMENTS]),
    help="A moment that is killed; may be given again. All of them by default.",
)
@click.option("--only-moments", is_flag=True, help="No kills by chance, no cuts, no wrong clock.")
@click.option("--seed", default=None, type=int, help="Of an earlier run, to play it again.")
@click.option(
    "--sqlite",
    type=click.Choice(["none", "homeserver", "both"]),
    default="none",
    help="What keeps its store in SQLite; PostgreSQL for the bridge and the homeserver otherwise.",
)
@click.option(
    "--directory",
    default=None,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the house is made; a new one in the temporary directory by default.",
)
def main(
    *,
    events: int,
    decisions: int,
    files: int | None,
    officers: int,
    posts: int,
    at: tuple[str, ...],
    only_moments: bool,
    seed: int | None,
    sqlite: str,
    directory: Path | None,
) -> None:
    """Put the real parts under load, kill and cut them at every step, and count what came."""
    seed = int.from_bytes(os.urandom(_SEED_BYTES)) if seed is None else seed
    home = directory or Path(tempfile.mkdtemp(prefix="rabta-chaos-"))
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711)  # user postgres passes through
    click.echo(f"seed={seed} logs={home}")
    wanted = Wanted(
        events,
        decisions,
        files or max(events // 10, 1),
        tuple(moment for moment in MOMENTS if not at or str(moment) in at),
        not only_moments,
        seed,
    )
    size = Size(
        officers,
        posts,
        on_postgres=sqlite != "both",
        homeserver_on_postgres=sqlite == "none",
    )
    sys.exit(0 if asyncio.run(_run(wanted, size, home)) else 1)


async def _run(wanted: Wanted, size: Size, home: Path) -> bool:
    house = House(home, size, clock=_clock, say=click.echo)
    async with AsyncExitStack() as stack:
        stack.callback(house.down)
        return await Run(wanted, house, click.echo).play(stack)


if __name__ == "__main__":
    main()
