"""The bench: what our parts cost, as ratios within one run, since machines are noisy."""
