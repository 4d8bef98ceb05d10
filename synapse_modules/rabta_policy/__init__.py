"""The judge: what one organisation may do with another. Pure; it never reads a clock, a file or the network."""
