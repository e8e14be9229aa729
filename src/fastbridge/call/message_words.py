"""Whether what was said is the message that was asked for, by its words: of any language, and in linear time.

Pure functions.
"""

from collections import Counter

PIECE = 8
"""So many letters in a row that are the message's are no accident."""


def share_of(message: str, said: str) -> float:
    """How much of a message was said, 0 to 1, in runs of three letters."""
    wanted = _runs(message)
    return (wanted & _runs(said)).total() / wanted.total()


def letters_before(message: str, said: str) -> int:
    """How much was said before anything of the message; all of it where nothing was of that."""
    wanted, given = message.casefold(), said.casefold()
    size = min(PIECE, len(wanted))
    pieces = {wanted[at : at + size] for at in range(len(wanted) - size + 1)}
    return next((at for at in range(len(given) - size + 1) if given[at : at + size] in pieces), len(given))


def _runs(text: str) -> Counter[str]:
    folded = text.casefold()
    return Counter(folded[at : at + 3] for at in range(max(len(folded) - 2, 1)))
