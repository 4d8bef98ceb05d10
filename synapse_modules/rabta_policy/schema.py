"""The JSON Schema of a policy document, generated from the models."""

from typing import Any

from rabta_policy.document import PolicyDocument


def policy_schema() -> dict[str, Any]:
    """The schema in JSON Schema draft 2020-12, as `config/schema/policy.schema.json` carries it."""
    schema = PolicyDocument.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
