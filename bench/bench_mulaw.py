"""G.711, base64 and the ring: what every frame passes through."""


def bench_base64_decode_frame(twin, each, payloads):
    each(twin.mulaw.b64decode, payloads)


def bench_base64_decode_delta(twin, each, deltas):
    each(twin.mulaw.b64decode, deltas)


def bench_base64_encode_frame(twin, each, frames):
    each(twin.mulaw.b64encode, frames)


def bench_mulaw_decode_frame(twin, each, frames):
    each(twin.mulaw.decode, frames)


def bench_rms_frame(twin, each, frames):
    each(twin.mulaw.rms, frames)


def bench_ring_append_delta(twin, each, deltas):
    """400 ms of base64 in, and what was there before released, as the caller hears it."""
    ring = twin.mulaw.Ring()

    def append(delta):
        ring.write_base64(delta)
        ring.release(ring.end - 1600)

    each(append, deltas)


def bench_ring_copy_frame(twin, each):
    ring = twin.mulaw.Ring()
    ring.write(bytes(range(256)) * 40)
    each(lambda position: ring.read(position, 160), range(0, 8000, 160))
