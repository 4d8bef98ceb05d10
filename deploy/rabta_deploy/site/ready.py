"""`python -m rabta_deploy.site.ready URL SECONDS`: wait until a program answers, or fail."""

import sys
from urllib.parse import urlsplit

from rabta_deploy.jsonhttp import answers
from rabta_deploy.ports import port_answers
from rabta_deploy.process import until


def ready(url: str) -> bool:
    """Whether `http://host:port/path` answers 200, or `tcp://host:port` takes a connection."""
    parts = urlsplit(url)
    if parts.scheme == "tcp":
        return port_answers(parts.port or 0, parts.hostname or "127.0.0.1")
    return answers(url)


if __name__ == "__main__":
    sys.exit(0 if until(lambda: ready(sys.argv[1]), within_s=float(sys.argv[2])) else 1)
