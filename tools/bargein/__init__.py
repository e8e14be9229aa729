"""Trains the combiner of the barge-in detector, from nothing but Debian packages: `python -m tools.bargein.train`."""
