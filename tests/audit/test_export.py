"""A SIEM reads the audit without being fooled by what a name contains."""

from datetime import UTC, datetime

from rabta_audit import Record, to_cef


def test_a_record_is_one_line_of_cef_with_its_fields_escaped() -> None:
    record = Record(
        time=datetime(2026, 11, 23, 12, tzinfo=UTC),
        serial=4,
        path="user_may_invite",
        action="invite",
        verdict="denied",
        origin="itt.gov.test",
        destination="fin.gov.test",
        actor="@a=b\nc:itt.gov.test",
        reasons=("no-permit",),
        rules=("R7",),
    )
    assert to_cef(record, version="0.1.0") == (
        "CEF:0|Rabta|rabta|0.1.0|no-permit|invite denied|6|rt=1795435200000 act=invite "
        "outcome=denied shost=itt.gov.test dhost=fin.gov.test suser=@a\\=b\\nc:itt.gov.test "
        "cs3Label=rules cs3=R7 cs4Label=reasons cs4=no-permit cs6Label=path cs6=user_may_invite "
        "cn1Label=policySerial cn1=4"
    )
