"""What a hook is told of a machine that has answered a call out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AnsweredBy:
    """kind: machine or fax. seconds: from the answer until it was known. source: who found out, `sound` (our own ear)
    or `carrier`. beep: its beep was heard already, so that a message is said at once."""

    kind: str
    seconds: float
    source: str
    beep: bool = False
