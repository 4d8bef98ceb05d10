"""What a bench tells: a figure beside the figure it is a share of, and how sure the ratio is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import comb
from statistics import median

from rich.console import Console
from rich.table import Table

_SURE = 0.95
_WIDTH = 132


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the bench's table.

    Attributes:
        name: what was measured.
        ours: the figure with our part, in `unit`.
        base: the figure it is compared with, in `unit`.
        unit: of both figures.
        target: the ratio we want at most; None where none is set.
        median_ratio: of the rounds, where both were measured in turns.
        between: where the true median of the ratio lies, at 95 %; None for a single reading.
    """

    name: str
    ours: float
    base: float
    unit: str
    target: float | None = None
    median_ratio: float | None = None
    between: tuple[float, float] | None = None

    @property
    def ratio(self) -> float:
        """Ours to base: of the rounds the median, else of the two figures."""
        return self.ours / self.base if self.median_ratio is None else self.median_ratio


@dataclass(frozen=True, slots=True)
class Skipped:
    """What could not be measured here, and why."""

    name: str
    reason: str


Line = Measure | Skipped


def to_target(name: str, ours: float, target: float, unit: str) -> Measure:
    """A figure beside the most it should be."""
    return Measure(name, ours, target, unit, 1.0)


def in_turns(
    name: str,
    ours: Sequence[float],
    base: Sequence[float],
    *,
    unit: str,
    target: float | None = None,
) -> Measure:
    """Two figures measured in turns: round by round their ratio, and of the ratios the median.

    What slows a busy machine down lasts longer than a round, so it is in both halves of a ratio.

    Args:
        name: what was measured.
        ours: one figure for each round.
        base: the other's, of the same rounds.
        unit: of both.
        target: the ratio we want at most.
    """
    ratios = [one / other for one, other in zip(ours, base, strict=True)]
    return Measure(
        name, median(ours), median(base), unit, target, median(ratios), sure_of_median(ratios)
    )


def sure_of_median(samples: Sequence[float]) -> tuple[float, float]:
    """Where the true median lies with 95 %: by ranks, whatever the samples' distribution.

    The number of samples below the true median is binomial with one half; the ranks cut off less
    than 2.5 % of it at each end.
    """
    ordered, size = sorted(samples), len(samples)
    below = accumulate(comb(size, rank) / 2**size for rank in range(size))
    cut = max(sum(1 for chance in below if chance <= (1 - _SURE) / 2) - 1, 0)
    return ordered[cut], ordered[-1 - cut]


def show(lines: Sequence[Line]) -> None:
    """Print the table, one line for each measure, however narrow the place."""
    console = Console(width=max(Console().width, _WIDTH))
    table = Table("measured", "ours", "compared with", "unit", "ratio", "95 % between", "target")
    for line in lines:
        if isinstance(line, Measure):
            table.add_row(
                line.name,
                f"{line.ours:.4g}",
                f"{line.base:.4g}",
                line.unit,
                f"{line.ratio:.3f}",
                "" if line.between is None else f"{line.between[0]:.3f} - {line.between[1]:.3f}",
                "" if line.target is None else f"<= {line.target}",
            )
    skipped = Table("skipped", "because")
    for line in lines:
        if isinstance(line, Skipped):
            skipped.add_row(line.name, line.reason)
    console.print(table)
    if skipped.row_count:
        console.print(skipped)
