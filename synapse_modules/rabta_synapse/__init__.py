"""The door: translates between Synapse and the judge. Imports synapse; never nio, never aiohttp."""

from rabta_synapse.door import Door

__all__ = ["Door"]
