"""Warm transfers, whatever the order of what the carrier tells, and whatever of it is lost: every caller ends with the
human, with the assistant, or with an honest goodbye, and nobody is left in a line.

The state machine, the legs and the webhooks are the real ones; the carrier is a small world on virtual time, which
loses, doubles and delays. TRANSFER_SCHEDULES=100000 has it do so more often.
"""

import os
import random

import pytest

from transfer_world import World

SCHEDULES = int(os.environ.get("TRANSFER_SCHEDULES", "300"))
SHARDS = 4
FIRST = int(os.environ.get("TRANSFER_FIRST", "0"))


@pytest.mark.parametrize("shard", range(SHARDS))
def test_everybody_comes_to_an_end(shard):
    worlds = World.many()
    for seed in range(FIRST + shard, FIRST + SCHEDULES, SHARDS):
        try:
            worlds.play(random.Random(seed))
        except AssertionError as error:
            raise AssertionError(f"schedule {seed}: {error}\n" + "\n".join(worlds.story)) from error
    worlds.close()


def test_each_outcome_is_among_them():
    worlds = World.many()
    seen = {worlds.play(random.Random(seed)) for seed in range(400)}
    worlds.close()
    assert seen >= {"connected", "declined", "busy", "no_answer", "machine", "failed", "caller_gone", "lost"}
    assert "withdrawn" in seen
