"""What a call may cost, by one of the budgets that are set: how far it has come, and what has decided."""

import math
from typing import NamedTuple

GOODBYE_TOKENS = 100
"""Of audio: five seconds."""
OVERDRAFT_USD = 0.01
"""By so much a goodbye may cost more than is left. Of tokens: by its own, not by what it reads."""


class Cap(NamedTuple):
    """whose: `call`, `business` or `day`. spent, most: dollars, or tokens. goodbye: what that would add. answer: what
    is read for the next answer, which nobody can keep the model from. aside: what other calls will cost in any case."""

    whose: str
    spent: float
    most: float
    goodbye: float
    unit: str
    answer: float
    aside: float = 0.0

    @property
    def ended(self) -> float:
        """What will be spent if the call ends now, with a goodbye."""
        return self.spent + self.goodbye + self.aside

    @property
    def sure(self) -> float:
        """What will be spent if it does not."""
        return self.ended + self.answer


def overdraft(cap: Cap) -> float:
    """In the cap's unit: by how much what a goodbye adds may be more than what is left."""
    return OVERDRAFT_USD + 1e-9 if cap.unit == "usd" else GOODBYE_TOKENS


def told(cap: Cap) -> dict[str, str]:
    """For the log: what has decided: all but `most` are added up. aside: only where other calls have set something."""
    digits = _digits(cap.most) if cap.unit == "usd" else 0
    sums = {"spent": cap.spent, "answer": cap.answer, "goodbye": cap.goodbye, "aside": cap.aside, "most": cap.most}
    shown = {name: f"{sum_:.{digits}f}" for name, sum_ in sums.items() if sum_ or name != "aside"}
    return {"whose": cap.whose, **shown, "unit": cap.unit}


def _digits(usd: float) -> int:
    """Cents, and of less than a dollar so many that a hundredth of it is seen."""
    return min(max(2, 2 - math.floor(math.log10(usd))), 8)
