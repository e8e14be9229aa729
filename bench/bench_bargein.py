"""The detector, on each frame of a caller who speaks while the assistant does."""


def bench_detector_frame(twin, each, frames):
    detector, assistant = twin.bargein.Detector(), frames[-1]
    each(lambda frame: detector.feed(frame, assistant), frames)
