"""What was received, sent and heard of the assistant's audio, by item and by response: the playout clock.

The only source for "is the assistant speaking" and "how much was heard". For the lane alone, which has it in Python.
"""

class Segment:
    """The audio of one item."""

class Reply:
    """The audio of one response."""

class PendingMark:
    """A mark sent and not echoed."""

class Playout:
    """Positions in the ring; see AssistantLane for what they mean."""
