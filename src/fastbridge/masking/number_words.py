"""The words for digits, in the languages that fastbridge listens for: English and Hebrew. Data, and nothing else.

A word has a role and its digits: `two` is a UNIT, 2; `forty` a TEN, 40, unless a unit follows; `twelve` is whole, 12;
Hebrew says its twelve as a unit and a TEEN_ENDING; `double` says how many TIMES the next digit comes.
"""

from enum import StrEnum


class Role(StrEnum):
    UNIT = "unit"
    TEN = "ten"
    WHOLE = "whole"
    TEEN_ENDING = "teen_ending"
    TIMES = "times"


_UNITS = {
    "0": "zero oh o nought naught אפס",
    "1": "one אחת אחד",
    "2": "two שתיים שתים שניים שנים",
    "3": "three שלוש שלושה",
    "4": "four ארבע ארבעה",
    "5": "five חמש חמישה חמשה",
    "6": "six שש שישה ששה",
    "7": "seven שבע שבעה",
    "8": "eight שמונה",
    "9": "nine niner תשע תשעה",
}
_WHOLE = {
    "10": "ten",
    "11": "eleven",
    "12": "twelve",
    "13": "thirteen",
    "14": "fourteen",
    "15": "fifteen",
    "16": "sixteen",
    "17": "seventeen",
    "18": "eighteen",
    "19": "nineteen",
}
_TENS = {
    "20": "twenty עשרים",
    "30": "thirty שלושים",
    "40": "forty ארבעים",
    "50": "fifty חמישים",
    "60": "sixty שישים ששים",
    "70": "seventy שבעים",
    "80": "eighty שמונים",
    "90": "ninety תשעים",
}
_TEEN_ENDINGS = {"10": "עשרה עשר"}
_TIMES = {"2": "double דאבל כפול פעמיים", "3": "triple treble טריפל"}

ROLES = {
    word: (role, digits)
    for role, table in (
        (Role.UNIT, _UNITS),
        (Role.TEN, _TENS),
        (Role.WHOLE, _WHOLE),
        (Role.TEEN_ENDING, _TEEN_ENDINGS),
        (Role.TIMES, _TIMES),
    )
    for digits, words in table.items()
    for word in words.split()
}
FILLERS = frozenset({"uh", "um", "er", "erm", "dash", "hyphen", "space", "אה", "אמ", "ואז", "מקף", "רווח"})
"""What may stand between two digits of one number."""
HEBREW_AND = "\u05d5"
"""A prefix, with which the last one of several is said."""
