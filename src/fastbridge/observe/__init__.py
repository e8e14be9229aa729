"""What the operator reads of a call: the vocabulary of the log, its limits, and the counters."""
