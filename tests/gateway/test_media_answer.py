"""A peer's media answer is written afresh, and cannot point Synapse elsewhere."""

from collections.abc import AsyncIterator

import pytest

from rabta_gateway.media_answer import rewrite
from rabta_gateway.refusals import RefusedError

TYPE = "multipart/mixed; boundary=peers"
HEADERS = b'Content-Type: image/png\r\nContent-Disposition: inline; filename="a.png"\r\n'
FILE = b"\x00binary\r\n--not the boundary\r\n" * 50


def answer(
    *,
    start: bytes = b"\r\n",
    metadata: bytes = b"{}",
    headers: bytes = HEADERS,
    file: bytes = FILE,
    end: bytes = b"\r\n--peers--\r\n",
) -> bytes:
    return (
        start
        + b"--peers\r\nContent-Type: application/json\r\n\r\n"
        + metadata
        + b"\r\n--peers\r\n"
        + headers
        + b"\r\n"
        + file
        + end
    )


async def in_pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def rewritten(body: bytes, *, size: int = 7) -> tuple[str, bytes]:
    media = await rewrite(TYPE, in_pieces(body, size))
    boundary = media.content_type.removeprefix("multipart/mixed; boundary=")
    return boundary, b"".join([piece async for piece in media.body])


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
@pytest.mark.parametrize("start", [b"", b"\r\n"])
async def test_a_file_passes_whole_under_a_boundary_of_our_own(size: int, start: bytes) -> None:
    boundary, body = await rewritten(answer(start=start), size=size)

    assert boundary != "peers"
    assert (
        body
        == (
            f"\r\n--{boundary}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{boundary}\r\n"
            'Content-Type: image/png\r\nContent-Disposition: inline; filename="a.png"\r\n\r\n'
        ).encode()
        + FILE
        + f"\r\n--{boundary}--\r\n".encode()
    )


async def test_the_same_answer_never_gets_the_same_boundary_twice() -> None:
    assert (await rewritten(answer()))[0] != (await rewritten(answer()))[0]


async def test_a_third_part_with_a_location_does_not_pass() -> None:
    hidden = b"\r\n--peers\r\nLocation: http://127.0.0.1/\r\n\r\n\r\n--peers--\r\n"

    _, body = await rewritten(answer(end=hidden))

    assert b"Location" not in body


@pytest.mark.parametrize("name", [b"Location", b"LOCATION", b"location"])
async def test_a_location_is_refused(name: bytes) -> None:
    headers = b"Content-Type: image/png\r\n" + name + b": http://169.254.169.254/\r\n"

    with pytest.raises(RefusedError) as error:
        await rewritten(answer(headers=headers))

    assert error.value.refusal.reason == "peer-redirects"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        answer(start=b"preamble\r\n"),
        answer(metadata=b"[]"),
        answer(metadata=b"{"),
        answer(headers=b"Content-Type: image/png\r\n folded: x\r\n"),
        answer(headers=b"no colon\r\n"),
        answer(headers=b"X: " + b"a" * 70_000 + b"\r\n"),
        answer(end=b""),
        answer(end=b"\r\n--peer"),
    ],
)
async def test_anything_but_the_multipart_of_the_specification_is_broken(body: bytes) -> None:
    with pytest.raises(RefusedError) as error:
        await rewritten(body, size=4096)

    assert error.value.refusal.reason == "peer-answer-broken"


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "multipart/mixed", TYPE + "; x=y"]
)
async def test_a_content_type_without_one_plain_boundary_is_broken(content_type: str) -> None:
    with pytest.raises(RefusedError) as error:
        await rewrite(content_type, in_pieces(answer(), 100))

    assert error.value.refusal.reason == "peer-answer-broken"
