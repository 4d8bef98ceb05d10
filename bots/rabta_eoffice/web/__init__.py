"""The web side: pages for people, the contract's endpoints for the bridge, a small JSON API."""
