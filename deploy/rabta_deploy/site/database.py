"""The homeserver's database of a site, as its own programs reach it."""

import psycopg

from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import Layout, ports


def connect(site: Site, layout: Layout, *, timeout_s: int) -> psycopg.Connection:
    """Connect with the password that the site keeps.

    Args:
        site: The site.
        layout: Its directories.
        timeout_s: For connecting.

    Raises:
        psycopg.OperationalError: It does not answer.
    """
    asked = site.database
    return psycopg.connect(
        host=asked.host or "127.0.0.1",
        port=asked.port if asked.host else ports(site)["postgres"],
        dbname=asked.name,
        user=asked.user,
        passfile=str(layout.secret("database-password")),
        connect_timeout=timeout_s,
    )
