"""Trains the combiner of the barge-in detector, from nothing but Debian packages: `python -m tools.bargein.train`."""

import os

# Set before numpy is loaded: with each number of threads sums come in another order, and other weights come out.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
