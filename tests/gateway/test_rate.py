"""One peer's flood costs the others nothing."""

from rabta_gateway.rate import RateLimiter


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_admitted_and_then_the_rate() -> None:
    clock = Seconds()
    rate = RateLimiter(per_second=2, burst=3, clock=clock)

    assert [rate.admits("fin.gov.test") for _ in range(4)] == [True, True, True, False]

    clock.now = 1.0
    assert [rate.admits("fin.gov.test") for _ in range(3)] == [True, True, False]


def test_peers_do_not_share_a_bucket() -> None:
    rate = RateLimiter(per_second=1, burst=1, clock=Seconds())
    rate.admits("fin.gov.test")

    assert not rate.admits("fin.gov.test")
    assert rate.admits("law.gov.test")


def test_many_keys_do_not_grow_the_memory_without_end() -> None:
    rate = RateLimiter(per_second=1, burst=1, clock=Seconds())

    for number in range(10_000):
        rate.admits(f"address 192.0.2.{number}")

    assert len(rate._buckets) == 4096
