"""A site file for a ministry to fill in: every key it must decide about, with a word on each."""

from pathlib import Path

from rabta_deploy.fault import YardError

_TEXT = """\
# A ministry's site. `rabta site render` refuses it with every fault until it holds;
# docs/reference/site.md tells every key.
organisation: {organisation}
server_name: {server_name}      # for ever: user ids carry it
size: ministry                  # trial | ministry | large

client:                         # where people arrive, by TLS
  name: chat.{server_name}
  host: 0.0.0.0
  port: 443
  certificate_file: /etc/rabta/tls/chat.{server_name}.pem
  key_file: /etc/rabta/tls/chat.{server_name}.key

federation:                     # where other ministries arrive; leave it out to federate with none
  host: 0.0.0.0
  port: 8448
  certificate_file: /etc/rabta/tls/{server_name}.pem
  key_file: /etc/rabta/tls/{server_name}.key

policy:                         # from the network authority
  policy_file: /etc/rabta/policy/policy.json
  authority_file: /etc/rabta/policy/authority.yaml

monitoring: {{keep_days: 30}}
"""


def write_draft(file: Path, *, organisation: str, server_name: str) -> Path:
    """Write the draft.

    Raises:
        YardError: `site-exists`.
    """
    if file.exists():
        raise YardError("site-exists", f"{file} is there already.", "edit it, or name another")
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    file.write_text(
        _TEXT.format(organisation=organisation, server_name=server_name), encoding="utf-8"
    )
    return file
