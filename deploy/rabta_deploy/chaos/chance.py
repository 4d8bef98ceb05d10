"""Chance that can be had again: everything that is drawn comes from one seed, by a name."""

import random  # noqa: TID251 - a run that failed is played again from its seed


def chance(seed: int, name: str) -> random.Random:
    """The dice of one player. Not for secrets.

    Args:
        seed: Of the run.
        name: Whose; the same seed and name give the same throws.
    """
    return random.Random(f"{seed}/{name}")  # noqa: S311 - nothing here is secret
