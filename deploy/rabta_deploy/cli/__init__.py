"""The `rabta` command: it parses, calls a house and prints; it never decides."""

import importlib

import click

# One line per house; a house is imported only when its command is asked for.
COMMANDS = {
    "policy": "rabta_deploy.cli.policy:policy",
    "audit": "rabta_deploy.cli.audit:audit",
    "gateway": "rabta_deploy.cli.gateway:gateway",
    "bridge": "rabta_deploy.cli.bridge:bridge",
    "eoffice": "rabta_deploy.cli.eoffice:eoffice",
    "site": "rabta_deploy.cli.site_at_work:site",
    "backup": "rabta_deploy.cli.backup:backup",
    "staff": "rabta_deploy.cli.staff:staff",
    "records": "rabta_deploy.cli.records:records",
    "hold": "rabta_deploy.cli.hold:hold",
    "demo": "rabta_deploy.cli.demo:demo",
}


class Houses(click.Group):
    """A command group that imports a house when one of its commands is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the house behind `cmd_name`, or answer None for an unknown one."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.command(cls=Houses, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rabta")
def main() -> None:
    """Rabta: a sovereign messenger for a government, on Matrix."""
