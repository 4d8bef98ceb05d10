"""`rabta policy`: for the people who write, sign and ask about a network's policy."""

import click

from rabta_deploy.cli.policy.asking import explain, try_cases
from rabta_deploy.cli.policy.drafting import check, diff, schema
from rabta_deploy.cli.policy.sealing import keygen, sign, verify
from rabta_deploy.cli.policy.weighing import impact


@click.group()
def policy() -> None:
    """Write, check, sign and explain the policy of a network."""


for _command in (keygen, check, sign, verify, explain, try_cases, diff, impact, schema):
    policy.add_command(_command)
