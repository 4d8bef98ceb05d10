"""The bench compares like with like, and says how sure it is. No figure is asserted here."""

from pathlib import Path

import pytest

from rabta_deploy.bench.decisions import NOW, PERMITS_EACH, network, questions
from rabta_deploy.bench.measure import Skipped, in_turns, sure_of_median
from rabta_deploy.bench.public_modules import PUBLIC_MODULES, PublicModule, public_modules
from rabta_policy import Allowed, decide, load_document

DEMO = Path(__file__).parents[2] / "config/demo-policy.yaml"


@pytest.mark.parametrize("size", [10, 100, 1_000])
@pytest.mark.parametrize("start", [0, 1_000])
def test_half_of_the_questions_are_allowed_in_a_network_of_any_size(size: int, start: int) -> None:
    document = load_document(DEMO.read_text())
    policy = network(document, organisations=size, permits_each=PERMITS_EACH[size])
    verdicts = [decide(policy, action, NOW) for action in questions(size, 1_000, start)]
    allowed = [isinstance(verdict, Allowed) for verdict in verdicts]
    assert allowed == [True, False] * 1_000
    codes = {
        reason.code for one in verdicts if not isinstance(one, Allowed) for reason in one.reasons
    }
    assert codes == {"no-permit"}


def test_a_ratio_is_taken_round_by_round() -> None:
    # The machine is twice as slow in the second round; both halves of the ratio feel it.
    measured = in_turns("x", [1.1, 2.2, 1.1], [1.0, 2.0, 1.0], unit="s")
    assert measured.ratio == pytest.approx(1.1)
    assert measured.between == pytest.approx((1.1, 1.1))


@pytest.mark.parametrize(
    ("count", "between"),
    [
        (1, (0, 0)),
        (5, (0, 4)),  # too few to be sure: all of them
        (6, (0, 5)),
        (20, (5, 14)),  # the ranks in the tables of the sign test
        (25, (7, 17)),
    ],
)
def test_the_true_median_lies_between_two_ranks(count: int, between: tuple[int, int]) -> None:
    assert sure_of_median(list(range(count))) == between


def test_every_public_module_is_pinned() -> None:
    for public in PUBLIC_MODULES:
        assert all("==" in one for one in (public.requirement, *public.further))


def test_a_public_module_that_cannot_be_installed_is_skipped_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    absent = PublicModule("rabta-bench-absent==0", "absent.Module")
    subjects, skipped = public_modules(tmp_path, (absent,))
    assert subjects == []
    assert skipped == [
        Skipped("rabta-bench-absent 0", "cannot be installed from the registry of this machine")
    ]
