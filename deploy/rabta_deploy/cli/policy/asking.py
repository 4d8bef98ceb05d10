"""`rabta policy explain | try`: questions to a policy, answered in words."""

import sys
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from rabta_deploy.cli.policy.desk import (
    at_option,
    authority_option,
    fail,
    file_argument,
    json_option,
    read_policy,
    read_text,
    tell_json,
    utc_now,
)
from rabta_policy import (
    ActionKind,
    Allowed,
    Explanation,
    Fault,
    PolicyError,
    Room,
    Trial,
    action_of,
    parse_cases,
    put,
)
from rabta_policy import explain as explain_act
from rabta_policy.actions import ROOM_ACTIONS


@click.command()
@file_argument("policy_file")
@click.argument("origin")
@click.argument("kind", metavar="ACTION", type=click.Choice([str(kind) for kind in ActionKind]))
@click.argument("destination")
@click.option("--class", "room_class", help="The room's class; needed for what is done in a room.")
@click.option("--owner", help="The code of the organisation that owns the room.")
@click.option("--room", "room_id", help="The room's id, for permits that name one room.")
@click.option("--actor", help="The user id of who does it.")
@at_option
@authority_option
@json_option
def explain(
    policy_file: Path,
    origin: str,
    kind: str,
    destination: str,
    *,
    at: datetime | None,
    authority_file: Path | None,
    as_json: bool,
    **told: str | None,
) -> None:
    """May ORIGIN do ACTION to DESTINATION? Each is an organisation's code or a server name.

    Ends with 0 if allowed, 1 if denied, 2 if the question or the policy cannot be used.
    """
    room = _room(told["room_id"], told["room_class"], told["owner"])
    if room is None and kind in ROOM_ACTIONS:
        fault = Fault("--class", "is missing; this act is done in a room.", "Name its class.")
        fail([fault], "explain")
    policy = read_policy(policy_file, authority_file)
    parties = (origin, destination)
    action = action_of(policy, ActionKind(kind), parties, room, told["actor"])
    answer = explain_act(policy, action, at or utc_now())
    if as_json:
        tell_json(answer.as_json())
    else:
        _say(answer)
    sys.exit(0 if answer.allowed else 1)


def _room(room_id: str | None, room_class: str | None, owner: str | None) -> Room | None:
    if room_class is None and (room_id or owner):
        fault = Fault("--class", "is missing beside --room or --owner.", "Name the room's class.")
        fail([fault], "explain")
    return None if room_class is None else Room(room_id, room_class, owner)


def _say(answer: Explanation) -> None:
    click.echo(answer.question)
    for party in answer.parties:
        click.echo(f"  {party}")
    click.echo(f"  policy: {answer.policy}")
    if isinstance(answer.verdict, Allowed):
        grant = answer.verdict.grant
        click.echo(f"ALLOWED by {grant.rule}: {grant.text}")
        return
    click.echo("DENIED:")
    for reason in answer.verdict.reasons:
        click.echo(f"  {reason.rule} [{reason.code}] {reason.text}")
        click.echo(f"      What to do: {reason.cure}")


@click.command("try")
@file_argument("cases_file")
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The policy to ask. [default: the one the table names, beside it]",
)
@authority_option
@json_option
def try_cases(
    cases_file: Path, policy_file: Path | None, authority_file: Path | None, *, as_json: bool
) -> None:
    """Put a table of cases to a policy, and compare with the answers it expects.

    Ends with 0 if every answer is as expected, 1 if one is not, 2 if a file cannot be used.
    """
    try:
        table = parse_cases(read_text(cases_file))
    except PolicyError as error:
        fail(error.faults, str(cases_file), error.reason)
    if policy_file is None:
        if table.policy is None:
            fail(
                [Fault("policy", "is missing.", "Name it there or with --policy.")], str(cases_file)
            )
        policy_file = cases_file.parent / table.policy
    policy = read_policy(policy_file, authority_file)
    trials = [put(policy, case) for case in table.cases]
    if as_json:
        tell_json([_as_json(trial) for trial in trials])
    else:
        _show(trials)
    sys.exit(0 if all(trial.as_expected for trial in trials) else 1)


def _as_json(trial: Trial) -> dict[str, object]:
    return {
        "name": trial.case.name,
        "got": trial.got,
        "as_expected": trial.as_expected,
        "explanation": trial.explanation.as_json(),
    }


def _show(trials: list[Trial]) -> None:
    table = Table("", "case", "answer", box=None, pad_edge=False)
    for trial in trials:
        if trial.as_expected:
            table.add_row("ok", trial.case.name, trial.got)
        else:
            table.add_row("WRONG", trial.case.name, f"{trial.got}\nexpected: {_wanted(trial)}")
    Console(soft_wrap=False, highlight=False).print(table)
    wrong = sum(not trial.as_expected for trial in trials)
    click.echo(f"{len(trials)} cases, {wrong} not as expected.")


def _wanted(trial: Trial) -> str:
    case = trial.case
    return f"{case.expect} {case.grant or ', '.join(sorted(case.reasons))}".strip()
