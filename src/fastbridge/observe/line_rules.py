"""The rules by which a call's lines are kept: what each is worth, how many of a kind, and how many in all."""

from dataclasses import dataclass
from enum import IntEnum


class Rank(IntEnum):
    """What a line is worth; the last gives way first."""

    FIRST = 0
    MILESTONE = 1
    DEED = 2
    OWN = 3
    TALK = 4
    LEAST = 5
    DETAIL = 6


@dataclass(frozen=True)
class Budget:
    """lines: of a call. sums: of these, kept for its end. new: kept for warnings that are new. margins: by rank, more
    than so many besides must be left. times: of each kind so many times as many as RULES says."""

    lines: int
    sums: int
    new: int
    margins: tuple[int, ...]
    times: int


@dataclass(frozen=True)
class Rule:
    """kind: in whose sum a line is counted. lines: how many with this tag are written. tally: what the sum calls it; by
    default what it says. first: the first one is worth more, for it tells that there are such."""

    kind: str
    rank: Rank
    lines: int
    tally: str | None = None
    first: bool = False


PRODUCTION = Budget(lines=29, sums=2, new=7, margins=(-2, 1, 1, 2, 3, 7, 7), times=1)
DEVELOPMENT = Budget(lines=480, sums=2, new=70, margins=(-20, 10, 10, 20, 30, 70, 150), times=20)
ESSENTIAL = {"CALL_START": 1, "": 3, "CALL_METRICS": 1, "CALL_END": 1}
"""Lines that are always written, by tag: for each so many places are reserved. Those of the accounts have no tag."""
RULES = {
    "DB": Rule("DB", Rank.MILESTONE, 2),
    "DSP": Rule("DSP", Rank.MILESTONE, 2),
    "REALTIME": Rule("REALTIME", Rank.MILESTONE, 3),
    "GREETING": Rule("GREETING", Rank.MILESTONE, 1),
    "AUDIO_OUT_LOOP": Rule("AUDIO_OUT_LOOP", Rank.MILESTONE, 1),
    "HANGUP": Rule("HANGUP", Rank.MILESTONE, 3, first=True),
    "TRANSFER": Rule("TRANSFER", Rank.FIRST, 4),
    "BUDGET": Rule("BUDGET", Rank.MILESTONE, 3),
    "WEBHOOK_CLOSE": Rule("WEBHOOK_CLOSE", Rank.MILESTONE, 2),
    "CREATE_APPT": Rule("CREATE_APPT", Rank.MILESTONE, 3, "", first=True),
    "TOOL_CALL": Rule("TOOL_CALL", Rank.DEED, 5, "", first=True),
    "TOOL_RESULT": Rule("TOOL_CALL", Rank.DEED, 5, "results"),
    "BARGE-IN": Rule("BARGE-IN", Rank.DEED, 5, first=True),
    "TRANSCRIPT": Rule("TRANSCRIPT", Rank.TALK, 12, ""),
    "RESPONSE_CREATED": Rule("TRANSCRIPT", Rank.LEAST, 2, "responses"),
}
OTHERS = Rule("", Rank.DEED, 3)
"""Those that the table does not name, each a kind of its own."""
OWN = Rule("OWN", Rank.OWN, 3)
"""What an agent's author logs, whatever its tag."""
DETAIL = Rule("DETAIL", Rank.DETAIL, 1000, "")
