import pytest

from fastbridge.sim.live_script import Live


@pytest.mark.parametrize("delta_ms", [20.0, 100.0])
def test_deltas_are_between_a_frame_and_a_tenth_of_a_second(delta_ms: float) -> None:
    assert Live(delta_ms=delta_ms).delta_ms == delta_ms


@pytest.mark.parametrize("delta_ms", [0.0, 19.0, 101.0])
def test_others_are_not_what_the_service_sends(delta_ms: float) -> None:
    with pytest.raises(ValueError, match="is not from 20 to 100"):
        Live(delta_ms=delta_ms)
