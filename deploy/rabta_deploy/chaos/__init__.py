"""Chaos: the real parts under load, killed and cut off at every step, and what came of it counted.

`python -m rabta_deploy.chaos`, or `make chaos`. Nothing of it is imported by a part in service.
"""
