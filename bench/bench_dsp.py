"""High-pass and limiter, mu-law to mu-law."""


def bench_dsp_frame(twin, each, frames):
    each(twin.dsp.HighpassLimiter().process, frames)
