"""Backups of a site: taken while it runs, for chosen eyes alone, and proven by a drill."""
