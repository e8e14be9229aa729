import math

import pytest

from fastbridge.sim.load_lag import parse, quantile_ms

TEXT = """# TYPE fastbridge_loop_lag_seconds histogram
fastbridge_loop_lag_seconds_bucket{le="0.001"} 90.0
fastbridge_loop_lag_seconds_bucket{le="0.005"} 99.0
fastbridge_loop_lag_seconds_bucket{le="+Inf"} 100.0
fastbridge_loop_lag_seconds_count 100.0
other_seconds_bucket{le="0.001"} 7.0
"""


def test_the_histogram_in_a_prometheus_text():
    assert parse(TEXT) == {0.001: 90.0, 0.005: 99.0, math.inf: 100.0}


def test_labels_are_summed_and_nonsense_left_out():
    text = 'x_loop_lag_seconds_bucket{worker="1",le="0.1"} 2\nx_loop_lag_seconds_bucket{worker="2",le="0.1"} 3\n'
    assert parse(text + 'x_loop_lag_seconds_bucket{le="much"} 1\nx_loop_lag_seconds_bucket{le="1"} many\n') == {
        0.1: 5.0
    }
    assert parse("") == {}


@pytest.mark.parametrize(("quantile", "edge_ms"), [(0.5, 1.0), (0.9, 1.0), (0.99, 5.0), (0.999, math.inf)])
def test_a_quantile_is_its_buckets_upper_edge(quantile, edge_ms):
    assert quantile_ms({}, parse(TEXT), quantile) == edge_ms


def test_only_what_came_between_counts():
    before, after = {0.001: 90.0, math.inf: 90.0}, {0.001: 90.0, math.inf: 95.0}
    assert quantile_ms(before, after, 0.5) == math.inf
    assert quantile_ms(before, before, 0.5) is None
