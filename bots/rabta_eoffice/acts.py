"""What a person may ask for, whichever way it comes: a page, the API or a command from chat."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from rabta_contract import (
    Command,
    CommandOutcome,
    CommandReason,
    CommandVerb,
    DecisionOutcome,
    Purpose,
)
from rabta_eoffice import rules
from rabta_eoffice.rules import Actor, CaseFile, Channel, Reason, Refused, Step


class Verb(StrEnum):
    """The acts on a file; the values are the last step of their addresses."""

    PUT_UP = "put-up"
    MARK = "mark"
    RETURN = "return"
    APPROVE = "approve"
    NOT_APPROVE = "not-approve"
    SEEN = "seen"
    DISCUSS = "discuss"
    RECEIVE = "receive"
    PULL_BACK = "pull-back"
    REMIND = "remind"


@dataclass(frozen=True, slots=True)
class Act:
    """One act. `movement_no`, where given, is the movement that the asker saw."""

    verb: Verb
    to_post: str = ""
    purpose: Purpose | None = None
    note: str = ""
    remarks: str = ""
    movement_no: int | None = None


def judge(file: CaseFile, actor: Actor, act: Act, *, trail: frozenset[str]) -> Step | Refused:
    """What comes of the act. `to_post` must exist; `trail` is where the file has been."""
    if actor.charge is None:
        # Somebody without the charge learns nothing about where the file stands.
        return rules.no_charge(actor)
    if actor.channel is Channel.CHAT:
        refusal = rules.from_chat(file)
        if refusal is not None:
            return refusal
    if act.movement_no is not None and act.movement_no != file.movement_no:
        return Refused(Reason.STALE_MOVEMENT, "the file has moved on since you saw it")
    if act.verb is Verb.REMIND:
        return rules.remind(file, actor, trail=trail, remarks=act.remarks)
    return _RULES[act.verb](file, actor, act)


def _send(file: CaseFile, actor: Actor, act: Act) -> Step | Refused:
    default = Purpose.PUT_UP if act.verb is Verb.PUT_UP else Purpose.FORWARD
    return rules.send(
        file,
        actor,
        to_post=act.to_post,
        purpose=act.purpose or default,
        note=act.note,
        remarks=act.remarks,
    )


def _decide(file: CaseFile, actor: Actor, act: Act) -> Step | Refused:
    approves = act.verb is Verb.APPROVE
    outcome = DecisionOutcome.APPROVED if approves else DecisionOutcome.NOT_APPROVED
    return rules.decide(file, actor, outcome=outcome, remarks=act.remarks)


_RULES: dict[Verb, Callable[[CaseFile, Actor, Act], Step | Refused]] = {
    Verb.PUT_UP: _send,
    Verb.MARK: _send,
    Verb.RETURN: lambda file, actor, act: rules.send_back(file, actor, remarks=act.remarks),
    Verb.APPROVE: _decide,
    Verb.NOT_APPROVE: _decide,
    Verb.SEEN: lambda file, actor, act: rules.see(file, actor, remarks=act.remarks),
    Verb.DISCUSS: lambda file, actor, act: rules.discuss(file, actor, remarks=act.remarks),
    Verb.RECEIVE: lambda file, actor, _: rules.receive(file, actor),
    Verb.PULL_BACK: lambda file, actor, _: rules.pull_back(file, actor),
}


_COMMANDED = {
    CommandVerb.APPROVE: (Verb.APPROVE, CommandOutcome.APPROVED),
    CommandVerb.RETURN: (Verb.RETURN, CommandOutcome.RETURNED),
    CommandVerb.SEEN: (Verb.SEEN, CommandOutcome.SEEN),
    CommandVerb.DISCUSS: (Verb.DISCUSS, CommandOutcome.DISCUSS),
    CommandVerb.FORWARD: (Verb.MARK, CommandOutcome.FORWARDED),
    CommandVerb.ACKNOWLEDGE: (Verb.RECEIVE, CommandOutcome.ACKNOWLEDGED),
    CommandVerb.REMIND: (Verb.REMIND, CommandOutcome.REMINDED),
}


def of_command(command: Command) -> Act:
    """The act that a command asks for."""
    return Act(
        verb=_COMMANDED[command.command][0],
        to_post=command.to_post or "",
        remarks=command.remarks or "",
        movement_no=command.movement_no,
    )


def outcome_of(command: Command) -> CommandOutcome:
    """What the answer says when the command was carried out."""
    return _COMMANDED[command.command][1]


# Where the contract has no word of its own for one of our reasons.
_NEAREST = {
    Reason.SAME_POST: CommandReason.MALFORMED,
    Reason.NOT_PUT_UP: CommandReason.WRONG_HOLDER,
}


def contract_reason(reason: Reason) -> CommandReason:
    """The contract's word for why a command was refused."""
    return _NEAREST.get(reason) or CommandReason(reason.value)
