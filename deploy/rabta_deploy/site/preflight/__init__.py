"""Looks at a site before it is put in force, and at one that runs: what is wrong, and the cure.

`facts` gathers, `checks` judges; what is found is a value with a stable code.
"""

from rabta_deploy.site.preflight.checks import findings
from rabta_deploy.site.preflight.facts import gather
from rabta_deploy.site.preflight.finding import Finding, Severity

__all__ = ["Finding", "Severity", "findings", "gather"]
