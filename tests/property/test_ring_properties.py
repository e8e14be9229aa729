"""Whatever is written, read and released: the ring is the concatenation of what it took."""

import base64
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)


class RingMachine(RuleBasedStateMachine):
    """The model: all bytes ever taken, and how many of them are forgotten."""

    mulaw: Any

    @initialize(initial=st.integers(1, 40), cap=st.integers(1, 300), spare=st.integers(0, 300))
    def make(self, initial: int, cap: int, spare: int) -> None:
        hard_cap = max(cap, initial) + spare
        self.ring = self.mulaw.Ring(initial_bytes=initial, cap_bytes=cap, hard_cap_bytes=hard_cap)
        self.initial, self.cap, self.hard_cap = initial, cap, hard_cap
        self.taken = b""
        self.released = self.peak = self.wanted = 0

    def took(self, data: bytes) -> None:
        self.taken += data
        self.peak = max(self.peak, len(self.taken) - self.released)

    def fits(self, data: bytes) -> bool:
        return len(self.taken) - self.released + len(data) <= self.hard_cap

    @rule(data=st.binary(max_size=150))
    def write(self, data: bytes) -> None:
        fits = self.fits(data)
        assert self.ring.write(data) is fits
        if fits:
            self.took(data)

    @rule(data=st.binary(max_size=150))
    def write_base64(self, data: bytes) -> None:
        fits = self.fits(data)
        assert self.ring.write_base64(base64.b64encode(data)) == (len(data) if fits else -2)
        if fits:
            self.took(data)

    @rule(data=st.binary(min_size=3, max_size=60), place=st.integers(0, 79), junk=st.sampled_from(b" =-_\n\x00\xff"))
    def write_malformed(self, data: bytes, place: int, junk: int) -> None:
        self.wanted = max(self.wanted, len(self.taken) - self.released + len(data))
        text = bytearray(base64.b64encode(data[: len(data) // 3 * 3]))
        text[place % (len(text) - 1)] = junk  # never the last: a padding there would be well-formed
        refused = self.ring.write_base64(bytes(text))
        assert refused == -1 or (refused == -2 and not self.fits(data))

    @precondition(lambda self: len(self.taken) > self.released)
    @rule(share=st.floats(0, 1))
    def release(self, share: float) -> None:
        self.released += round((len(self.taken) - self.released) * share)
        self.ring.release(self.released)

    @rule(first=st.floats(0, 1), last=st.floats(0, 1))
    def read(self, first: float, last: float) -> None:
        held = len(self.taken) - self.released
        start, end = sorted([self.released + round(held * first), self.released + round(held * last)])
        assert self.ring.read(start, end - start) == self.taken[start:end]

    @rule(before=st.integers(1, 50), beyond=st.integers(1, 50))
    def read_outside(self, before: int, beyond: int) -> None:
        for position, count in (
            (self.released - before, before),
            (self.released, len(self.taken) - self.released + beyond),
        ):
            with pytest.raises(ValueError, match="within"):
                self.ring.read(position, count)

    @invariant()
    def it_is_the_concatenation(self) -> None:
        held = len(self.taken) - self.released
        assert (self.ring.start, self.ring.end) == (self.released, len(self.taken))
        assert self.ring.read(self.released, held) == self.taken[self.released :]
        assert self.ring.full is (held >= self.cap)
        assert self.ring.peak_bytes == self.peak

    @invariant()
    def storage_doubles_and_is_no_more_than_needed(self) -> None:
        capacity = self.ring.capacity_bytes
        assert capacity.bit_count() == 1
        assert capacity >= len(self.taken) - self.released
        assert capacity < 2 * max(self.initial, self.peak, self.wanted)


def test_the_ring_is_the_concatenation_of_what_it_took(mulaw):
    machine = type("TwinRingMachine", (RingMachine,), {"mulaw": mulaw})
    run_state_machine_as_test(machine)
