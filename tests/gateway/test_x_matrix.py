"""The X-Matrix header is read strictly and verified against pinned keys only."""

import pytest
from signedjson.key import encode_verify_key_base64, generate_signing_key, get_verify_key
from signedjson.sign import sign_json

from rabta_gateway.refusals import RefusedError
from rabta_gateway.x_matrix import XMatrix

SIGNATURE = "A" * 86
HEADER = (
    f'X-Matrix origin="fin.gov.test",key="ed25519:1",sig="{SIGNATURE}",destination="itt.gov.test"'
)
PARSED = XMatrix("fin.gov.test", "itt.gov.test", "ed25519:1", SIGNATURE)


@pytest.mark.parametrize(
    "header",
    [
        HEADER,
        HEADER.replace(",", " , "),
        HEADER.replace("X-Matrix", "x-matrix"),
        HEADER.replace('"fin.gov.test"', "fin.gov.test"),
        HEADER.replace("origin", "Origin"),
        HEADER + ',future="thing"',
        HEADER.replace(SIGNATURE, SIGNATURE + "=="),
    ],
)
def test_every_form_that_the_specification_allows_reads_the_same(header: str) -> None:
    assert XMatrix.parse(header) == PARSED


def test_a_header_written_afresh_reads_the_same() -> None:
    assert XMatrix.parse(PARSED.header()) == PARSED


@pytest.mark.parametrize(
    "header",
    [
        "",
        "X-Matrix",
        "X-Matrix ",
        "Bearer secret",
        HEADER.replace(',destination="itt.gov.test"', ""),
        HEADER + ',origin="law.gov.test"',
        HEADER + ',ORIGIN="law.gov.test"',
        HEADER.replace("fin.gov.test", 'fin.gov.test\\"'),
        HEADER.replace("fin.gov.test", "fin.gov.test "),
        HEADER.replace("fin.gov.test", "[::1]:8448"),
        HEADER.replace("fin.gov.test", "FIN.gov.test"),
        HEADER.replace("ed25519:1", "rsa:1"),
        HEADER.replace(SIGNATURE, "short"),
        HEADER + " trailing",
        HEADER.replace('",key', '"key'),
    ],
)
def test_any_other_header_is_malformed(header: str) -> None:
    with pytest.raises(RefusedError) as error:
        XMatrix.parse(header)

    assert error.value.refusal.reason == "authorization-malformed"


KEY = generate_signing_key("1")
CONTENT = {"pdus": [], "edus": [{"n": 1}]}
REQUEST = {
    "method": "PUT",
    "uri": "/_matrix/federation/v1/send/1?a=b",
    "origin": "fin.gov.test",
    "destination": "itt.gov.test",
    "content": CONTENT,
}


class TestVerify:
    """The signature covers method, uri, origin, destination and content."""

    def signed(self, **changes: object) -> XMatrix:
        signed = sign_json({**REQUEST, **changes}, "fin.gov.test", KEY)
        signature = signed["signatures"]["fin.gov.test"]["ed25519:1"]
        return XMatrix("fin.gov.test", "itt.gov.test", "ed25519:1", signature)

    def verify(self, header: XMatrix) -> None:
        header.verify(
            method="PUT",
            uri="/_matrix/federation/v1/send/1?a=b",
            content=CONTENT,
            pinned={"ed25519:1": encode_verify_key_base64(get_verify_key(KEY))},
        )

    def test_a_request_as_it_was_signed_passes(self) -> None:
        self.verify(self.signed())

    @pytest.mark.parametrize(
        "other",
        [
            {"method": "POST"},
            {"uri": "/_matrix/federation/v1/send/2?a=b"},
            {"uri": "/_matrix/federation/v1/send/1"},
            {"origin": "law.gov.test"},
            {"destination": "law.gov.test"},
            {"content": {"pdus": [], "edus": []}},
        ],
    )
    def test_a_request_other_than_it_was_signed_does_not_pass(self, other: object) -> None:
        assert isinstance(other, dict)
        with pytest.raises(RefusedError) as error:
            self.verify(self.signed(**other))

        assert error.value.refusal.reason == "bad-signature"

    def test_a_key_that_the_policy_does_not_pin_is_unknown(self) -> None:
        header = self.signed()
        stranger = XMatrix(header.origin, header.destination, "ed25519:2", header.signature)

        with pytest.raises(RefusedError) as error:
            self.verify(stranger)

        assert error.value.refusal.reason == "unknown-key"
