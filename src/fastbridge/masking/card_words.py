"""The words that say that a card's code or date follows: in English and Hebrew. Data, and the expressions made of it.

A word for a code may be meant for much else (`code`), or for a card's alone (`cvv`). Links are what may stand between
such a word and its digits: `the expiry date of my card is`. Looked for right before digits, in `CHARS` at most.
"""

import re

CHARS = 64
_GAP = r"[\s.,:;=_#'\u2019\"(/\u2010-\u2015\u05be\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff-]"
_HEBREW_PREFIX = "[והבשלכמ]{0,2}"
_SURE = (
    rf"{_HEBREW_PREFIX}c[ .-]?v[ .-]?[vc][ .-]?2?|security[ _-](?:code|number)|verification[ _-]value"
    rf"|{_HEBREW_PREFIX}קוד ה?(?:אבטחה|ביטחון|בטחון)"
)
_CODE = (
    r"(?<!zip[ _-])(?<!area[ _-])(?<!post[ _-])(?<!postal[ _-])(?<!country[ _-])code"
    r"|(?<!four )(?<!4 )digits|digits (?:on|at|in|from) (?:the|its) (?:back|front)"
    rf"|{_HEBREW_PREFIX}קוד|{_HEBREW_PREFIX}ספרות"
)
_EXPIRY = (
    r"exp|expir(?:e|es|y|ing|ation)|(?:valid|good)[ _-](?:until|till?|thru|through|to)"
    rf"|{_HEBREW_PREFIX}תוקף|{_HEBREW_PREFIX}תוקפו"
)
_MONTHS = (
    "january february march april may june july august september october november december "
    "ינואר פברואר מרץ אפריל מאי יוני יולי אוגוסט ספטמבר אוקטובר נובמבר דצמבר"
)
_LINKS = (
    f"{_MONTHS} is are was will be would it its s that the this my your his her of for on in by to until "
    "till thru through number no num date code card back month year value uh um er "
    "הוא היא זה הם הן של שלי שלו שלה עד מספר תאריך הכרטיס כרטיס סודי הסודי מאחור אחורי מאחורה בגב בצד האחורי אה"
)


def _any_of(words: str) -> str:
    return "|".join(sorted(map(re.escape, words.split()), key=len, reverse=True))


_LINK = rf"(?:{_GAP}{{1,4}}+{_HEBREW_PREFIX}(?:{_any_of(_LINKS)})(?![^\W_])){{0,8}}+{_GAP}{{0,4}}+"
BEFORE_DETAIL = re.compile(
    rf"(?<![^\W_])(?:(?P<sure>{_SURE})|(?P<code>{_CODE})|(?P<expiry>{_EXPIRY}))(?![^\W_]){_LINK}\Z", re.IGNORECASE
)
"""To be searched up to where digits begin. Which of the three kinds of words it was is its last group."""
WITHIN_DETAIL = re.compile(
    rf"(?:{_GAP}{{1,4}}+(?:of|slash|stroke|over|לוכסן|סלאש)(?!\w)){{1,2}}+{_GAP}{{1,4}}+", re.IGNORECASE
)
"""Between the two numbers of a date: `twelve slash twenty-seven`."""
