"""What a bench tells: a figure beside the figure it is a share of."""

from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the bench's table.

    Attributes:
        name: what was measured.
        ours: the figure with our part, in `unit`.
        base: the figure it is compared with, in `unit`.
        unit: of both figures.
        target: the ratio `ours / base` we want at most; None where none is set.
    """

    name: str
    ours: float
    base: float
    unit: str
    target: float | None = None

    @property
    def ratio(self) -> float:
        """`ours / base`."""
        return self.ours / self.base


def middle(samples: list[float]) -> float:
    """The median: one slow round of a busy machine does not move it."""
    return median(samples)


def show(measures: list[Measure]) -> None:
    """Print the table."""
    table = Table("measured", "ours", "compared with", "unit", "ratio", "target")
    for measure in measures:
        table.add_row(
            measure.name,
            f"{measure.ours:.4g}",
            f"{measure.base:.4g}",
            measure.unit,
            f"{measure.ratio:.3f}",
            "" if measure.target is None else f"<= {measure.target}",
        )
    Console().print(table)
