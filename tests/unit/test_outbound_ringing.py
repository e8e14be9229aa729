"""outbound.ringing: who may still answer."""

from fastbridge.outbound.ringing import QUEUED_SECONDS, Ringing


def test_a_call_rings_until_it_is_answered_or_ends_or_its_time_is_over() -> None:
    now = [1000.0]
    ringing = Ringing(lambda: now[0])
    ringing.over("CA0")
    ringing.placed("CA1", 60)
    ringing.placed("CA2", 20)
    ringing.placed("CA3", 20)
    assert len(ringing) == 3
    ringing.over("CA3")
    assert len(ringing) == 2
    now[0] += 20 + QUEUED_SECONDS - 0.1
    assert len(ringing) == 2
    now[0] += 0.1
    assert len(ringing) == 1
    now[0] += 40
    assert len(ringing) == 0


def test_what_nobody_asks_for_is_forgotten_all_the_same() -> None:
    now = [0.0]
    ringing = Ringing(lambda: now[0])
    for number in range(1000):
        ringing.placed(f"CA{number}", 10)
        now[0] += 1.0
    assert len(ringing._until_s) <= 10 + QUEUED_SECONDS
