"""The two dialects of a model, for tests that are held in both; and which tests are not, each with its reason.

A test that names `dialect` among its arguments is held in each it is parametrised with. `test_dialects` holds the lists
below to the tests: whatever runs in one dialect alone is in one of them, and nothing is that runs in both.
"""

from pathlib import Path

import pytest

REALTIME, LIVE = "realtime", "live"
MODELS = {REALTIME: "gpt-realtime-2.1", LIVE: "gpt-live-1"}
HERE = Path(__file__).parent

both = pytest.mark.parametrize("dialect", list(MODELS))


def model_of(dialect: str) -> dict[str, str]:
    """The settings of a node whose model speaks this dialect."""
    return {"FASTBRIDGE_MODEL": MODELS[dialect]}
