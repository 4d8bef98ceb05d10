"""Files through a real Synapse's media store, read and written by an independent encryption."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nio.crypto.attachments import decrypt_attachment, encrypt_attachment
from sqlalchemy import Engine

from rabta_bots.matrix import EncryptedFile, MatrixClient, MatrixError, MatrixSettings, media
from rabta_deploy.homeserver import Homeserver

pytestmark = pytest.mark.network

# Two whole chunks and a part of one.
LARGE = 2 * 1024 * 1024 + 12_345


async def ciphertext_of(homeserver: Homeserver, client: MatrixClient, url: str) -> bytes:
    """What the media store holds, as anybody with the account's token sees it."""
    place = url.removeprefix("mxc://")
    headers = {"Authorization": f"Bearer {client._wire.access_token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"{homeserver.client_url}/_matrix/client/v1/media/download/{place}", headers=headers
        ) as answer,
    ):
        assert answer.status == 200
        return await answer.read()


async def refusal(work: Any) -> tuple[str, bool]:
    """Reason and finality of what must fail."""
    with pytest.raises(MatrixError) as failed:
        await work
    return failed.value.reason, failed.value.permanent


async def test_a_file_is_ciphertext_on_the_server_and_itself_again_for_who_has_the_key(
    settings: MatrixSettings,
    engine: Engine,
    run: Callable[..., Any],
    homeserver: Homeserver,
    tmp_path: Path,
) -> None:
    client: MatrixClient = (await run(settings, engine)).client
    body = os.urandom(LARGE)
    original = tmp_path / "original"
    original.write_bytes(body)

    file = await client.upload(original)
    stored = await ciphertext_of(homeserver, client, file.url)
    assert len(stored) == LARGE
    assert body[:64] not in stored
    content = file.content()
    # nio's own reader is the independent one: it takes the content as another client would.
    keys = (content["key"]["k"], content["hashes"]["sha256"], content["iv"])
    assert decrypt_attachment(stored, *keys) == body

    assert EncryptedFile.from_content(content) == file
    back = tmp_path / "back"
    assert await client.download(file, back, max_bytes=LARGE) == LARGE
    assert back.read_bytes() == body
    assert back.stat().st_mode & 0o777 == 0o600

    # A file of another client of the spec is read as well.
    sealed, told = encrypt_attachment("خفیہ مراسلہ".encode())
    foreign = tmp_path / "foreign"
    foreign.write_bytes(sealed)
    url = (
        await client._wire.send_stream(
            "/_matrix/media/v3/upload", _once(sealed), size=len(sealed), media_type="text/plain"
        )
    )["content_uri"]
    theirs = EncryptedFile.from_content({**told, "url": url})
    await client.download(theirs, back, max_bytes=100)
    assert back.read_text(encoding="utf-8") == "خفیہ مراسلہ"


async def _once(body: bytes) -> Any:
    yield body


async def test_of_a_file_that_is_not_what_was_sent_or_too_large_nothing_is_kept(
    settings: MatrixSettings, engine: Engine, run: Callable[..., Any], tmp_path: Path
) -> None:
    client: MatrixClient = (await run(settings, engine)).client
    original = tmp_path / "original"
    original.write_bytes(os.urandom(1000))
    file = await client.upload(original)
    places = tmp_path / "places"
    places.mkdir()
    into = places / "document"

    other = EncryptedFile(file.url, file.key, file.iv, hashlib.sha256(b"another").digest())
    assert await refusal(client.download(other, into, max_bytes=1000)) == (
        "attachment-changed",
        True,
    )
    assert await refusal(client.download(file, into, max_bytes=999)) == (
        "attachment-too-large",
        True,
    )
    gone = EncryptedFile("mxc://itt.gov.test/nosuchfile", file.key, file.iv, file.sha256)
    assert await refusal(client.download(gone, into, max_bytes=1000)) == ("not-found", True)
    assert list(places.iterdir()) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"v": "v1"},
        {"url": "mxc://itt.gov.test"},
        {"url": "https://evil.test/x"},
        {"url": "mxc://itt.gov.test/../../secret"},
        {"iv": "AAAA"},
        {"iv": 7},
        {"key": {"alg": "A256CTR", "k": "AAAA"}},
        {"key": {"alg": "none", "k": "A" * 43}},
        {"hashes": {}},
    ],
)
def test_what_a_stranger_calls_a_file_and_is_none_is_refused(
    broken: dict[str, Any],
) -> None:
    whole = EncryptedFile("mxc://itt.gov.test/abc", bytes(32), bytes(16), bytes(32)).content()
    for given in (whole | broken, broken, None, "a file"):
        with pytest.raises(MatrixError) as failed:
            EncryptedFile.from_content(given)
        assert (failed.value.reason, failed.value.permanent) == ("attachment-malformed", True)
    assert EncryptedFile.from_content(whole).content() == whole


async def test_the_keys_are_there_when_the_last_piece_leaves() -> None:
    """The homeserver may answer as soon as it has that one."""
    keys: dict[str, Any] = {}
    told = [bool(keys) async for _ in media._ciphertext(iter([b"one", b"two", b"three"]), keys)]
    assert told[-1]
    assert set(keys) >= {"key", "iv", "hashes"}
