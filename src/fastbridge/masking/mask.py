"""Numbers to keep secret in what people say: payment cards and identity numbers, written or spoken, in any grouping.

Pure, bounded and linear in the text: words are looked up one by one, and no expression here can go back. A run is what
one reads as one number: groups of digits with spaces, dashes, dots, commas or hesitations between. A card is 13 to 19
digits whose check digit (Luhn, ISO/IEC 7812) is right and which do not begin with 0. An identity number is an Israeli
one (nine digits and the same check), an American SSN or ITIN by its shape 3-2-4, a British NINO by its letters, or 8 or
9 digits behind words that say so. A card's code and date are short numbers behind words for them (`card_words`), near a
card or where the words mean nothing else. What was masked is not masked again. The standard library alone.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from fastbridge.masking.card_words import BEFORE_DETAIL, CHARS, WITHIN_DETAIL
from fastbridge.masking.number_words import FILLERS, HEBREW_AND, ROLES, Role

KINDS = ("cards", "identities")
CARD_DIGITS = range(13, 20)
IDENTITY_DIGITS = 9
PIECE_DIGITS = range(3, 13)
"""What one turn holds of a card number that is said in several."""
REMEMBERED_TURNS = 5
REMEMBERED_CHARS = 2000
"""Of each speaker, by a Dialogue."""
_MAX_GAP_CHARS = 24
_CUE_CHARS = 48
_CARD = "[card …"
_CARD_MASK = "[card"
_DETAIL_DIGITS = range(1, 9)
"""A code, a date, or both. Where no card is near, three at least: a code's."""
_SURE_DETAIL_DIGITS = range(3, 9)

# Bidi and other invisible marks stand around numbers in Hebrew. No colon: what has one is a time.
_BETWEEN = r"[\s.,/·…\u2010-\u2015\u05be\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff-]"
_WORD = re.compile(r"\w++")
_GAP = re.compile(rf"{_BETWEEN}{{1,4}}+(?:(?:{'|'.join(sorted(FILLERS))}){_BETWEEN}{{1,4}}+){{0,2}}+", re.IGNORECASE)
_WORTH_A_LOOK = re.compile(rf"(?<!\w)(?:[A-Za-z]{{2}})?\d(?:{_BETWEEN}{{0,4}}+\d){{5}}")
"""What a line must have that holds such a number; hardly any of ours has, for a sid's digits are part of a word."""
_YEAR, _DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|[12]\d|3[01])"
_DATE = re.compile(rf"(?<![\d.-])(?:{_YEAR}([-./]){_DAY}\1{_DAY}|{_DAY}([-./]){_DAY}\2{_YEAR})(?!\d)")
_SPACED_DATE = re.compile(rf"(?<!\d)(?:{_YEAR} {_DAY} {_DAY}|{_DAY} {_DAY} {_YEAR})(?!\d)")
_CLOCK = r"(?:[01]?\d|2[0-3])[.][0-5]\d(?!\d)"
_SCHEDULE = re.compile(rf"{_CLOCK}(?:[\s,\u2013-]{{1,3}}{_CLOCK})*+")
_CODE_WORDS = ("cv", "security", "verification", "אבטחה", "טחון")
"""What a line has, in lower case, with a card's code in it, but no card."""
_SAME_GAP = ("-", " ", ".", "\u2013", "\u2011")
_CUE = re.compile(
    r"\bssn\b|\bsocial\b|\b(?:identity|identification|id|i\.d\.)[ _-](?:card|number|num\b|no\b)"
    r"|\bteudat\b|\bzehut\b|זהות|(?<!\w)ת\.? ?[\"'\u05f3\u05f4]?ז(?!\w)",
    re.IGNORECASE,
)
_NINO_LETTERS = "(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
_NINO = re.compile(
    rf"(?<!\w)(?:{_NINO_LETTERS}[ -]?\d\d[ -]?\d\d[ -]?\d\d[ -]?[A-D]|(?i:{_NINO_LETTERS}\d{{6}}[A-D]))(?!\w)"
)

Replace = Callable[[str], str]


@dataclass(slots=True)
class _Group:
    """Digits that were written or said together. role: of what was said; None: written."""

    start: int
    end: int
    digits: str
    role: Role | None = None


_Run = list[_Group]
_Span = tuple[int, int, str]


class Mask:
    """`mask(text)`: the text with `[card …4242]`, `[card]` and `[id]` for such numbers. kinds: of KINDS. own: done
    before, to find what nobody else can know."""

    def __init__(self, kinds: Sequence[str] = KINDS, own: Replace | None = None) -> None:
        self._kinds = frozenset(kinds)
        self._own = own

    def __call__(self, text: str) -> str:
        """Of what somebody said: digits and words for digits."""
        return self.turns([text])[0]

    def written(self, text: str, phones: Replace | None = None) -> str:
        """Of any line: digits alone. phones: done then, where there are enough digits for one."""
        text = self._own(text) if self._own is not None else text
        many, lower = _WORTH_A_LOOK.search(text) is not None, text.lower()
        if self._kinds and (many or any(word in lower for word in _CODE_WORDS)):
            text = self._masked([text], spoken=False)[0]
        return phones(text) if many and phones is not None else text

    def piece(self, text: str) -> str:
        """Of a piece of a turn, which tells nothing of the number that it is part of: no digit at all."""
        if not self._kinds:
            return text
        return _WORD.sub(lambda found: "*" if _is_number(found[0]) else re.sub(r"\d", "*", found[0]), text)

    def turns(self, texts: Sequence[str]) -> list[str]:
        """Of one speaker's turns, in order: a card number may be said in several of them, one right after the other."""
        if self._own is not None:
            texts = [self._own(text) for text in texts]
        return self._masked(texts, scattered=True)

    def fields(self, fields: Mapping[str, str]) -> list[str]:
        """Of values that belong together. Their names are the words before them; no number goes on in the next one."""
        heads = [f"{name[:REMEMBERED_CHARS].replace('_', ' ')}: " for name in fields]
        values = [self._own(value) if self._own is not None else value for value in fields.values()]
        masked = self._masked([head + value for head, value in zip(heads, values, strict=True)])
        return [
            text.removeprefix(head) if text.startswith(head) else self(value)
            for text, head, value in zip(masked, heads, values, strict=True)
        ]

    def _masked(self, texts: Sequence[str], *, spoken: bool = True, scattered: bool = False) -> list[str]:
        if not self._kinds:
            return list(texts)
        runs = [_runs(text, spoken=spoken) for text in texts]
        spans = [self._spans(text, of_text) for text, of_text in zip(texts, runs, strict=True)]
        if "cards" in self._kinds:
            if scattered and len(texts) > 1:
                _add_scattered(runs, spans)
            cards = [any(mask.startswith(_CARD_MASK) for _, _, mask in of_text) for of_text in spans]
            for at, text in enumerate(texts):
                near = any(cards[max(0, at + 1 - REMEMBERED_TURNS) : at + REMEMBERED_TURNS])
                spans[at] += _details(text, runs[at], spans[at], near=near)
        return [_replaced(text, of_text) for text, of_text in zip(texts, spans, strict=True)]

    def _spans(self, text: str, runs: list[_Run]) -> list[_Span]:
        spans: list[_Span] = []
        for run in runs:
            found = _card(text, run) if "cards" in self._kinds else []
            if not found and "identities" in self._kinds:
                found = [span for part in _parts(text, run) for span in _identities(text, part)]
                found = found or _identities(text, run)
            spans += found
        if "identities" in self._kinds:
            spans += [(*found.span(), "[id]") for found in _NINO.finditer(text)]
        return spans


class Dialogue:
    """The turns of a call as they come. Those before are known, and cannot be changed any more."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._before: dict[object, deque[str]] = {}

    def turn(self, speaker: object, text: str) -> str:
        """This turn, masked: also the end of a number that began in the speaker's last turns."""
        before = self._before.setdefault(speaker, deque(maxlen=REMEMBERED_TURNS - 1))
        masked = self._mask.turns([*before, text])[-1]
        before.append(text[:REMEMBERED_CHARS])
        return masked


def spoken_numbers(text: str) -> list[_Span]:
    """Where in the text words for digits are, alone or with digits, that are read as one number; and its digits. Not
    hours one after the other: nine, ten, eleven."""
    found: list[_Span] = []
    for run in _runs(text, spoken=True):
        written = all(_is_written(text, group) for group in run)
        hours = any(len(group.digits) > 1 for group in run) and _is_list(text, run)
        if not written and not hours:
            found.append((run[0].start, run[-1].end, "".join(group.digits for group in run)))
    return found


def luhn(digits: str) -> bool:
    """Whether the last of these ASCII digits is the check digit of the others."""
    return bool(digits) and _luhn_sums(digits)[(len(digits) - 1) % 2][-1] % 10 == 0


def _luhn_sums(digits: str) -> tuple[list[int], list[int]]:
    """Running sums for numbers whose last digit is at an even place, and at an odd one."""
    plain = [int(digit) for digit in digits]
    doubled = [2 * digit - 9 * (digit > 4) for digit in plain]
    even = (plain[place] if place % 2 == 0 else doubled[place] for place in range(len(plain)))
    odd = (plain[place] if place % 2 else doubled[place] for place in range(len(plain)))
    return list(accumulate(even, initial=0)), list(accumulate(odd, initial=0))


# --- what is read as one number ---


def _runs(text: str, *, spoken: bool) -> list[_Run]:
    runs: list[_Run] = []
    for group in _groups(text, spoken=spoken):
        if runs and _joined(text, runs[-1][-1].end, group.start):
            runs[-1].append(group)
        else:
            runs.append([group])
    return runs


def _joined(text: str, end: int, start: int) -> bool:
    return start - end <= _MAX_GAP_CHARS and _GAP.fullmatch(text, end, start) is not None


def _groups(text: str, *, spoken: bool) -> Iterator[_Group]:
    last: _Group | None = None  # that may still become another number: forty, two
    times: _Group | None = None  # double, triple
    dates = deque(found.span() for found in _DATE.finditer(text))
    for found in _WORD.finditer(text):
        while dates and dates[0][1] <= found.start():
            dates.popleft()
        new = _group(found, spoken=spoken)
        if (
            new is None
            or (dates and dates[0][0] <= found.start())
            or (new.role is None and text.startswith(_CARD, new.start - len(_CARD)))
        ):
            times = None
            continue
        if new.role is Role.TIMES:
            times = new
            continue
        if times is not None and len(new.digits) == 1 and _joined(text, times.end, new.start):
            new = _Group(times.start, new.end, new.digits * int(times.digits), None)
        elif last is not None and _joined(text, last.end, new.start) and _combine(last, new):
            last.role, times = None, None
            continue
        times = None
        if last is not None:
            yield last
        last = new
    if last is not None:
        yield last


def _group(found: re.Match[str], *, spoken: bool) -> _Group | None:
    word, (start, end) = found[0], found.span()
    if word.isdecimal():
        return _Group(start, end, word if word.isascii() else "".join(str(int(digit)) for digit in word))
    known = _known(word) if spoken else None
    return None if known is None else _Group(start, end, known[1], known[0])


def _known(word: str) -> tuple[Role, str] | None:
    word = word.lower()
    known = ROLES.get(word)
    return ROLES.get(word[1:]) if known is None and word[:1] == HEBREW_AND else known


def _is_written(text: str, group: _Group) -> bool:
    return text[group.start : group.end].isdecimal()


def _is_number(word: str) -> bool:
    known = _known(word)
    return known is not None and known[0] is not Role.TIMES


def _combine(last: _Group, new: _Group) -> bool:
    """Whether the new word only ends the last one's number, which then has it: forty two; שתים עשרה."""
    if last.role is Role.TEN and new.role is Role.UNIT and new.digits != "0":
        last.digits = last.digits[0] + new.digits
    elif last.role is Role.UNIT and new.role is Role.TEEN_ENDING:
        last.digits = "1" + last.digits
    else:
        return False
    last.end = new.end
    return True


# --- what it is ---


def _card(text: str, run: _Run) -> list[_Span]:
    """All that was said with a card number goes with it: its date and code. The last four digits of one that stands
    alone are shown."""
    digits = "".join(group.digits for group in run)
    if len(digits) < CARD_DIGITS.start or _is_phone(text, run, digits) or _is_list(text, run):
        return []
    start, end = run[0].start, run[-1].end
    if len(digits) in CARD_DIGITS and digits[0] != "0" and luhn(digits):
        return [(start, end, f"{_CARD}{digits[-4:]}]")]
    return [(start, end, "[card]")] if _holds_card(run, digits) else []


def _holds_card(run: _Run, digits: str) -> bool:
    """Whether some of the groups, one after the other, are a card number."""
    places = list(accumulate((len(group.digits) for group in run), initial=0))
    sums = _luhn_sums(digits)
    for index, start in enumerate(places[:-1]):
        if digits[start] == "0":
            continue
        for end in places[index + 1 : index + 1 + CARD_DIGITS.stop]:
            if end - start >= CARD_DIGITS.stop:
                break
            total = sums[(end - 1) % 2]
            if end - start in CARD_DIGITS and (total[end] - total[start]) % 10 == 0:
                return True
    return False


def _is_phone(text: str, run: _Run, digits: str) -> bool:
    """With a plus, and no longer than E.164 has it."""
    start = run[0].start
    return len(digits) <= 15 and start > 0 and text[start - 1] == "+"


def _is_list(text: str, run: _Run) -> bool:
    """Times with a dot, small numbers that rise, or written ones of two or of three digits with commas between: hours,
    prices, and no card. Single digits with commas are how one spells a number."""
    if _SCHEDULE.fullmatch(text, run[0].start, run[-1].end) is not None:
        return True
    shape = {len(group.digits) if _is_written(text, group) else 0 for group in run}
    if shape in ({2}, {3}) and all(text[one.end : next_one.start] == ", " for one, next_one in pairwise(run)):
        return len(run) > 2
    small = all(len(group.digits) <= 2 for group in run)
    return small and all(int(one.digits) < int(next_one.digits) for one, next_one in pairwise(run))


def _details(text: str, runs: list[_Run], spans: list[_Span], *, near: bool) -> list[_Span]:
    """A card's code and date, behind words for them. near: a card is, so that other words will do, too."""
    masked = {start for start, _, _ in spans}
    found: list[_Span] = []
    for run in runs:
        start, end, size = run[0].start, run[-1].end, sum(len(group.digits) for group in run)
        if size not in _DETAIL_DIGITS or start in masked:
            continue
        if found and WITHIN_DETAIL.fullmatch(text, found[-1][1], start) is not None:
            found.append((start, end, found[-1][2]))
            continue
        words = BEFORE_DETAIL.search(text, max(0, start - CHARS), start)
        if words is not None and (near or (words.lastgroup == "sure" and size in _SURE_DETAIL_DIGITS)):
            found.append((start, end, "[expiry]" if words.lastgroup == "expiry" else "[code]"))
    return found + (_full_dates(text) if near else [])


def _full_dates(text: str) -> list[_Span]:
    """A card's, that has a day, too, and so is in no run."""
    dates = [date.span() for date in _DATE.finditer(text)]
    before = [BEFORE_DETAIL.search(text, max(0, start - CHARS), start) for start, _ in dates]
    return [(*date, "[expiry]") for date, words in zip(dates, before, strict=True) if words and words["expiry"]]


def _parts(text: str, run: _Run) -> list[_Run]:
    """What lies between commas and pauses: another number may follow."""
    parts: list[_Run] = [[run[0]]]
    for one, next_one in pairwise(run):
        if text[one.end : next_one.start] in _SAME_GAP:
            parts[-1].append(next_one)
        else:
            parts.append([next_one])
    return parts


def _identities(text: str, run: _Run) -> list[_Span]:
    digits = "".join(group.digits for group in run)
    if set(digits) == {"0"} or _is_phone(text, run, digits):
        return []
    start, end = run[0].start, run[-1].end
    if len(digits) in (IDENTITY_DIGITS - 1, IDENTITY_DIGITS) and _CUE.search(text, max(0, start - _CUE_CHARS), start):
        return [(start, end, "[id]")]
    if len(digits) == IDENTITY_DIGITS and luhn(digits) and _may_be_identity(text, run):
        return [(start, end, "[id]")]
    found = [(one.start, one.end, "[id]") for one in run if len(one.digits) == IDENTITY_DIGITS and luhn(one.digits)]
    return found + [(run[at].start, run[at + 2].end, "[id]") for at in range(len(run) - 2) if _is_ssn(text, run, at)]


def _may_be_identity(text: str, run: _Run) -> bool:
    """Whether nine digits are grouped as nobody groups a telephone number with its area code, a date or an amount."""
    shape = [len(group.digits) for group in run]
    said = text[run[0].start : run[-1].end]
    area_code = len(run) > 1 and run[0].digits[0] == "0" and shape[0] in (2, 3)
    amount = re.search(r"\d,\d", said) is not None or (len(run) == 2 and re.search(r"\d[.]\d", said) is not None)
    return not (area_code or amount or "/" in said or _SPACED_DATE.search(said))


def _is_ssn(text: str, run: _Run, at: int) -> bool:
    """3-2-4 with the same sign between; none that was never given out. ITINs (9xx) are of this shape, too."""
    area, group, serial = run[at : at + 3]
    if [len(one.digits) for one in (area, group, serial)] != [3, 2, 4]:
        return False
    gap = text[area.end : group.start]
    if gap not in _SAME_GAP or gap != text[group.end : serial.start] or (gap == " " and len(run) > 3):
        return False
    return area.digits not in ("000", "666") and group.digits != "00" and serial.digits != "0000"


def _add_scattered(runs: list[list[_Run]], spans: list[list[_Span]]) -> None:
    """A card number whose pieces are the last run of a turn, all of the next ones, and the first of the last one."""
    chain: list[tuple[int, _Run, str]] = []
    for index, of_turn in enumerate(runs):
        pieces = [(index, run, "".join(group.digits for group in run)) for run in of_turn]
        fits = bool(pieces) and len(pieces[0][2]) in PIECE_DIGITS
        if fits and _is_whole([*chain, pieces[0]], spans):
            chain = []
        elif fits and len(pieces) == 1:
            chain = [*chain, pieces[0]][-REMEMBERED_TURNS:]
        else:
            chain = [piece for piece in pieces[-1:] if len(piece[2]) in PIECE_DIGITS]


def _is_whole(chain: list[tuple[int, _Run, str]], spans: list[list[_Span]]) -> bool:
    """Whether the chain ends in a card number; then its pieces are to be masked."""
    for first in range(len(chain) - 1):
        digits = "".join(piece[2] for piece in chain[first:])
        if len(digits) in CARD_DIGITS and digits[0] != "0" and luhn(digits):
            for index, run, _ in chain[first:]:
                spans[index].append((run[0].start, run[-1].end, "[card]"))
            return True
    return False


def _replaced(text: str, spans: list[_Span]) -> str:
    """Where two overlap, the mask of the first one stands for both."""
    parts, at = [], 0
    for start, end, mask in sorted(spans):
        if start >= at:
            parts += [text[at:start], mask]
        at = max(at, end)
    return "".join([*parts, text[at:]])


BUILT_IN = Mask()
