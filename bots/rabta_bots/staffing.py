"""Brings the charges in the store to what the directory says of the posts that it keeps."""

from datetime import datetime

from sqlalchemy import Connection

from rabta_bots.directory import Directory
from rabta_bots.rows import put
from rabta_bots.store.posts import all_charges, assume, relinquish
from rabta_bots.store.tables import posts


def follow_directory(
    connection: Connection, directory: Directory, organisation: str, now: datetime
) -> None:
    """Note the posts that the directory keeps, begin the charges it tells and end all others.

    Args:
        connection: In a transaction.
        directory: As of now; posts that it does not name are e-Office's and stay as they are.
        organisation: Of the posts.
        now: When a charge that the directory no longer tells has ended.
    """
    put(
        connection,
        posts,
        [
            {
                "post_id": post_id,
                "org": organisation,
                "designation": post.designation,
                "designation_ur": post.designation_ur,
                "section": post.section,
                "reports_to": post.reports_to,
            }
            for post_id, post in directory.posts.items()
        ],
    )
    known = all_charges(connection) if directory.posts else {}
    for post_id, post in directory.posts.items():
        wanted = post.charges_of(post_id)
        live = [one for one in known.get(post_id, ()) if one.ends is None or one.ends > now]
        for charge in live:
            if charge not in wanted:
                # One that is to begin later never does.
                ends = max(now, charge.begins)
                relinquish(connection, post_id, charge.person_id, charge.kind, ends)
        if any(charge not in wanted for charge in live):
            live = []
        for charge in wanted:
            if charge not in live:
                assume(connection, charge)
