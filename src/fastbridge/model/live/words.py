"""Words told to the model, within what one message may hold: 500 tokens, by a count that is never too small.

Pure. Nobody's tokeniser is asked: ASCII is three characters a token at least, everything else one each.
"""

from collections.abc import Iterator
from math import ceil

MAX_TOKENS = 500
"""Of one message's content."""
ASCII_CHARS_PER_TOKEN = 3


def tokens_of(text: str) -> int:
    """At most so many."""
    ascii_chars = sum(char.isascii() for char in text)
    return ceil(ascii_chars / ASCII_CHARS_PER_TOKEN) + len(text) - ascii_chars


def pieces(text: str, most: int = MAX_TOKENS) -> Iterator[str]:
    """The text in order, cut between words into pieces of at most so many tokens. A word that is longer is cut, too."""
    piece = ""
    for word in text.split():
        longer = f"{piece} {word}" if piece else word
        if tokens_of(longer) <= most:
            piece = longer
            continue
        if piece:
            yield piece
        *whole, piece = list(_cut(word, most))
        yield from whole
    if piece:
        yield piece


def first_piece(text: str, most: int = MAX_TOKENS) -> str:
    """As much of it as one message takes."""
    return next(pieces(text, most), "")


def last_piece(text: str, most: int = MAX_TOKENS) -> str:
    """As much of its end as that is; all of it as it is, where it is no more."""
    if tokens_of(text) <= most:
        return text
    backwards = first_piece(text[::-1], most)
    return backwards[::-1]


def _cut(word: str, most: int) -> Iterator[str]:
    for at in range(0, len(word), most):  # a character is a token at most
        yield word[at : at + most]
