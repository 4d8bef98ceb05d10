"""The judge: what one organisation may do with another. It reads no clock, file or network."""

from rabta_policy.actions import Action, ActionKind, Room
from rabta_policy.cases import Case, Cases, Trial, action_of, parse_cases, put
from rabta_policy.classes import CardRule, MediaRule, RoomClass
from rabta_policy.differences import Difference, Turn, difference
from rabta_policy.document import PolicyDocument, load_document, parse_document
from rabta_policy.explanation import Explanation, explain
from rabta_policy.faults import Fault, PolicyError
from rabta_policy.following import Plan, here, plan
from rabta_policy.judge import decide
from rabta_policy.known_room import KnownRoom, know, server_of
from rabta_policy.label import State, StateEvent
from rabta_policy.policy import Policy, Standing
from rabta_policy.reading import read_text
from rabta_policy.reasons import ReasonCode
from rabta_policy.registry import Address, Server
from rabta_policy.residents import servers_allowed_in
from rabta_policy.schema import policy_schema
from rabta_policy.signing import Authority, open_signed, sign_document
from rabta_policy.states import Organisation
from rabta_policy.template import fill_servers, reissue
from rabta_policy.verdicts import Allowed, Denied, Grant, Reason, Verdict


def parse(text: str) -> Policy:
    """Read a policy's YAML or JSON text. Signatures in it are neither wanted nor looked at.

    For templates, tests and `rabta policy explain`; a server believes only `open_signed`.

    Raises:
        PolicyError: `policy-malformed`, with every fault: path, line, message, cure.
    """
    plain, lines = read_text(text)
    plain.pop("signatures", None)
    return Policy(parse_document(plain, lines))


__all__ = [
    "Action",
    "ActionKind",
    "Address",
    "Allowed",
    "Authority",
    "CardRule",
    "Case",
    "Cases",
    "Denied",
    "Difference",
    "Explanation",
    "Fault",
    "Grant",
    "KnownRoom",
    "MediaRule",
    "Organisation",
    "Plan",
    "Policy",
    "PolicyDocument",
    "PolicyError",
    "Reason",
    "ReasonCode",
    "Room",
    "RoomClass",
    "Server",
    "Standing",
    "State",
    "StateEvent",
    "Trial",
    "Turn",
    "Verdict",
    "action_of",
    "decide",
    "difference",
    "explain",
    "fill_servers",
    "here",
    "know",
    "load_document",
    "open_signed",
    "parse",
    "parse_cases",
    "parse_document",
    "plan",
    "policy_schema",
    "put",
    "reissue",
    "server_of",
    "servers_allowed_in",
    "sign_document",
]
