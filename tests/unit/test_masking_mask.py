"""fastbridge.masking.mask: what is a number to keep secret, and what only looks like one."""

import pytest

from fastbridge.masking.mask import BUILT_IN, REMEMBERED_TURNS, Dialogue, Mask, luhn, spoken_numbers

VISA = "4242 4242 4242 4242"
SPOKEN = "four two four two four two four two four two four two four two four two"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("4242424242424242", "[card …4242]"),
        ("My card is 4242 4242 4242 4242.", "My card is [card …4242]."),
        ("4242-4242-4242-4242", "[card …4242]"),
        ("4242.4242.4242.4242", "[card …4242]"),
        ("4242, 4242, 4242, 4242", "[card …4242]"),
        ("4242 - 4242 \u2013 4242 - 4242", "[card …4242]"),
        ("4-2-4-2-4-2-4-2-4-2-4-2-4-2-4-2", "[card …4242]"),
        ("Amex 3782 822463 10005", "Amex [card …0005]"),
        ("4222 2222 2222 2", "[card …2222]"),
        ("6304 0000 0000 0000 000", "[card …0000]"),
        ("\u200f4242 4242\u200f 4242 4242\u200f", "\u200f[card …4242]\u200f"),
        ("4242 4242, uh, 4242... 4242", "[card …4242]"),
        ("4242 dash 4242 dash 4242 dash 4242", "[card …4242]"),
    ],
)
def test_cards_however_they_are_grouped(text, shown):
    assert BUILT_IN(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (SPOKEN, "[card …4242]"),
        (SPOKEN.title().replace(" ", ", "), "[card …4242]"),
        ("it is four two four two 4242 four two four two, 4242 okay", "it is [card …4242] okay"),
        ("forty-two forty two forty-two 42 forty-two forty-two forty-two forty-two", "[card …4242]"),
        (", ".join(["forty-two"] * 8), "[card …4242]"),
        ("five double one one double one one double one one double one one one one eight", "[card …1118]"),
        ("three seven eight two eight double two four six three one triple oh five", "[card …0005]"),
        ("three seven eight two eight 2 2 four six three one zero o oh five", "[card …0005]"),
        ("fifty-one eleven eleven eleven eleven eleven eleven eighteen", "[card …1118]"),
        ("ארבע שתיים ארבע שתים ארבעה שניים ארבע שתיים ארבע שתיים ארבע שתיים ארבע שתיים ארבע ושתיים", "[card …4242]"),
        ("הכרטיס שלי 4242 ארבע שתיים ארבע שתיים 4242 ארבעים ושתיים 42", "הכרטיס שלי [card …4242]"),
        ("חמישים ואחת אחת עשרה אחת עשרה אחת עשרה אחת עשרה אחת עשרה אחת עשרה שמונה עשרה", "[card …1118]"),
        ("שלוש שבע שמונה שתיים שמונה פעמיים שתיים ארבע שש שלוש אחת אפס אפס אפס חמש", "[card …0005]"),
    ],
)
def test_cards_that_are_spoken(text, shown):
    assert BUILT_IN(text) == shown


@pytest.mark.parametrize("zero", ["\u0660", "\u06f0", "\uff10", "\u0966"])
def test_digits_of_other_scripts(zero):
    other = VISA.translate({ord("0") + digit: chr(ord(zero) + digit) for digit in range(10)})
    assert BUILT_IN(other) == "[card …4242]"
    assert BUILT_IN.written(other) == "[card …4242]"


@pytest.mark.parametrize("more", [f"{VISA}, 12/28, 123", f"no. 2. {VISA}", f"double oh {VISA}", f"{VISA} {VISA}"])
def test_what_is_said_with_a_card_goes_with_it(more):
    assert not set(BUILT_IN(more)) & set("0123456789")


@pytest.mark.parametrize(
    "text",
    [
        "123456782",
        "12345678-2",
        "123 456 782",
        "1 2 3 4 5 6 7 8 2",
        "one two three four five six seven eight two",
        "אחת שתיים שלוש ארבע חמש שש שבע שמונה שתיים",
        "000000018",
        "123-45-6789",
        "123 45 6789",
        "912-71-1234",
        "my SSN: 123-45-6789",
        "AB123456C",
        "ab123456c",
        "AB 12 34 56 C",
        "AB-12-34-56-C",
        "תעודת זהות 12345678",
        "ת.ז. 123456789",
        'ת"ז 123456789',
        "my social is one two three four five six seven eight nine",
        "SSN: 123456789",
        "my identity number is 12345678",
        "my ID number is 12345678",
        "ID no. 12345678",
        "id card: 123456789",
        "identification number 12345678",
    ],
)
def test_identity_numbers(text):
    for more in ("", ".", ", 2024-01-25", ". 4", " it is"):
        shown = BUILT_IN(text + more)
        assert shown.endswith("[id]" + more)
        assert not set(shown.removesuffix(more)) & set("12345678")


@pytest.mark.parametrize(
    "text",
    [
        "4242 4242 4242 4243",
        "0000 0000 0000 0000",
        "CA42424242424242424242424242424242",
        "order_4242424242424242",
        "4242424242424242nd",
        "42424242424242424242424242",
        "2024-01-25 2024-01-31",
        "25.01.2024, 31.01.2024",
        "25 01 2024 1",
        "1234567890123 2024-01-31",
        "01/25/2024 01/31/2024",
        "2024-01-25 14.30, 2024-01-26 09.30",
        "2024-01-25 9:00",
        "25.01.2024 9",
        "10.30, 11.00, 11.30, 12.05",
        "free are 9, 10, 11, 12, 13, 14, 15 o'clock",
        "14:00, 14:30, 15:00, 15:37",
        "050-123-4567",
        "050 123 4567 and 054 765 4321",
        "+972 50 123 4567",
        "+49 1512 3456783",
        "00972501234567",
        "03-123-4564",
        "031 234 564",
        "1234567890",
        "12345678",
        "123456789",
        "1,234,567.82",
        "1234567.82",
        "000-12-3456",
        "666-12-3456",
        "123-00-4567",
        "123-45-0000",
        "123-45 6789",
        "1 123 45 6789 1",
        "GB123456C",
        "QQ123456C",
        "AB123456E",
        "the order 123456 C",
        "000000000",
        "double trouble, one moment, two or three",
        "Oh, I see. One of four.",
        "שלוש פגישות ביום שני",
        "",
    ],
)
def test_what_only_looks_like_one(text):
    assert BUILT_IN(text) == text
    assert BUILT_IN.written(text) == text


SHAPES = ["02-123 45{}{}", "03 12345{}{}", "08-123-45{}{}", "+49 1512 34567{}{}", "+123 4567{}{}"]


@pytest.mark.parametrize("shape", SHAPES)
def test_phone_numbers_that_pass_the_check_by_chance_are_none(shape):
    numbers = [shape.format(*f"{last:02}") for last in range(100)]
    assert sum(luhn("".join(filter(str.isdecimal, number))) for number in numbers) == 10
    for number in numbers:
        assert BUILT_IN(f"ring {number} please") == f"ring {number} please"


@pytest.mark.parametrize(
    ("turns", "shown"),
    [
        (["my card is 4242 4242", "4242 4242"], ["my card is [card]", "[card]"]),
        (["4242", "4242", "and 4242", "4242, that is all"], ["[card]", "[card]", "and [card]", "[card], that is all"]),
        (["four two four two four two four two", "4242 4242"], ["[card]", "[card]"]),
        (["at two o'clock. 4242 4242 4242", "4242 at two"], ["at two o'clock. [card]", "[card] at two"]),
        (["4242 4242", "yes", "4242 4242"], None),
        (["4242 4242", "4242 4243"], None),
        (["4242424242424", "242"], None),
        (["2024-01-25", "4242 4242"], None),
        (["050 123 4567", "1234"], None),
    ],
)
def test_a_card_in_several_turns(turns, shown):
    assert BUILT_IN.turns(turns) == (turns if shown is None else shown)
    dialogue = Dialogue(BUILT_IN)
    for text, masked in zip(turns[:-1], turns[:-1], strict=True):
        assert dialogue.turn("caller", text) == masked
    assert dialogue.turn("assistant", turns[-1]) == turns[-1]
    assert dialogue.turn("caller", turns[-1]) == (turns if shown is None else shown)[-1]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"My card is {VISA}, expires 12/27, code 123.", "My card is [card …4242], expires [expiry], code [code]."),
        (f"{VISA} and the CVV is 123", "[card …4242] and the CVV is [code]"),
        (
            f"{SPOKEN}, expiry oh nine twenty eight, security code one two three",
            "[card …4242], expiry [expiry], security code [code]",
        ),
        ("4580 4580 4580 4580 תוקף 12/27 קוד 123", "[card …4580] תוקף [expiry] קוד [code]"),
        (
            "4580 4580 4580 4580 בתוקף עד דצמבר 27, והקוד הוא אחת שתיים שלוש",
            "[card …4580] בתוקף עד דצמבר [expiry], והקוד הוא [code]",
        ),
        ("4580 4580 4580 4580 שלוש ספרות בגב הכרטיס 123", "[card] ספרות בגב הכרטיס [code]"),
        (f"Code 1234, valid thru 12/2027. It is {VISA}", "Code [code], valid thru [expiry]. It is [card …4242]"),
        (f"the expiration date of my card is 1227: {VISA}", "the expiration date of my card is [expiry]: [card …4242]"),
        (
            f"{VISA}, exp. 12/27; the three digits on the back: 123",
            "[card …4242], exp. [expiry]; the three digits on the back: [code]",
        ),
        (f"{VISA} expires twelve slash twenty-seven", "[card …4242] expires [expiry] slash [expiry]"),
        (f"{VISA}, the last three digits are 123", "[card …4242], the last three digits are [code]"),
        (f"{VISA}; the last four digits are 4242", "[card …4242]; the last four digits are 4242"),
        (f"{VISA}; the four digits on the front: 1234", "[card …4242]; the four digits on the front: [code]"),
        (f"{VISA} expires on 12/31/2027", "[card …4242] expires on [expiry]"),
        (f"{VISA} from 12/31/2027", "[card …4242] from 12/31/2027"),
        (f"{VISA} וקוד הCVV 123", "[card …4242] וקוד הCVV [code]"),
        (f"{VISA}, C-V-V 123", "[card …4242], C-V-V [code]"),
        (f"{VISA}; zip code 90210, area code 415", "[card …4242]; zip code 90210, area code 415"),
        (f"{VISA} for 2 guests on the 4th at 7", "[card …4242] for 2 guests on the 4th at 7"),
    ],
)
def test_the_code_and_date_of_a_card_behind_words_for_them(text, shown):
    assert BUILT_IN(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the CVV is 123", "the CVV is [code]"),
        ("the CVV on the back of my card is 123", "the CVV on the back of my card is [code]"),
        ("CVC2: 1234", "CVC2: [code]"),
        ("my security code is one two three", "my security code is [code]"),
        ("קוד האבטחה הוא 123", "קוד האבטחה הוא [code]"),
        ("ה-CVV הוא 123", "ה-CVV הוא [code]"),
    ],
)
def test_a_code_that_says_so_is_masked_without_a_card(text, shown):
    assert BUILT_IN(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "zip code 90210",
        "area code 415",
        "the code is 1234",
        "the offer expires 12/27",
        "valid until 31",
        "הקוד לדלת 1234",
        "security code, 2 people",
        "security at 1234 Main Street",
        "the CVV, and then 123",
    ],
)
def test_other_codes_and_dates_stay_where_no_card_is(text):
    assert BUILT_IN(text) == text
    assert BUILT_IN.written(text) == text


def test_a_line_with_a_code_in_it():
    assert BUILT_IN.written("[PAY] paid, cvv=123, total=123") == "[PAY] paid, cvv=[code], total=123"
    assert BUILT_IN.written(f"card={VISA}, expiry=12/27, n=5") == "card=[card …4242], expiry=[expiry], n=5"


def test_a_code_in_another_turn_than_its_card():
    turns = ["the code is 123", VISA, "yes", "it expires 12/27"]
    shown = ["the code is [code]", "[card …4242]", "yes", "it expires [expiry]"]
    assert BUILT_IN.turns(turns) == shown
    assert BUILT_IN.turns([VISA, *["yes"] * REMEMBERED_TURNS, "the code is 123"])[-1] == "the code is 123"
    dialogue = Dialogue(BUILT_IN)
    assert [dialogue.turn("caller", text) for text in turns] == [turns[0], *shown[1:]]
    assert dialogue.turn("assistant", "the code is 123") == "the code is 123"


def test_codes_go_with_cards_where_kinds_are_chosen():
    assert Mask(("identities",))("cvv 123") == "cvv 123"
    assert Mask(("cards",))("cvv 123") == "cvv [code]"


def test_fields_that_belong_together():
    fields = {"card": VISA, "expiry_date": "12/27", "code": "123", "id_number": "12345678", "guests": "4"}
    assert BUILT_IN.fields(fields) == ["[card …4242]", "[expiry]", "[code]", "[id]", "4"]
    assert BUILT_IN.fields({"a": "4242 4242", "b": "4242 4242", "4242 4242 4242 4242": "7"}) == ["4242 4242"] * 2 + [
        "7"
    ]


@pytest.mark.parametrize("more", [range(100, 1000), range(10, 100)])
def test_prices_with_commas_between_are_no_card(more):
    first = "120, 130, 140, 150" if more[0] == 100 else "30, 25, 40, 35, 60, 55"
    lists = [f"Prices are {first}, {last} and 17 shekels." for last in more]
    assert [BUILT_IN(one) for one in lists] == lists


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("call four one five, five five five, oh one two three.", ["4155550123"]),
        ("הטלפון שלי אפס חמש אפס אחת שתיים שלוש ארבע חמש שש שבע", ["0501234567"]),
        ("0501 two three, forty-two double five", ["0501234255"]),
        ("0501234567", []),
        ("nine, ten, eleven, twelve or one", ["1"]),
        ("none", []),
    ],
)
def test_numbers_that_are_spoken(text, digits):
    found = spoken_numbers(text)
    assert [of for _, _, of in found] == digits


@pytest.mark.parametrize("date", ["25 01 2024 {}", "2024 01 25, {}", "{} 25 01 2024"])
def test_a_date_and_an_hour_are_no_identity_number(date):
    said = [date.format(hour) for hour in range(10)]
    assert sum(luhn("".join(filter(str.isdecimal, one))) for one in said) == 1
    assert [BUILT_IN(one) for one in said] == said


def test_an_identity_number_with_pauses_between_its_digits():
    assert BUILT_IN("one, two, three. Four, five, 6, 7, 8, two") == "[id]"


@pytest.mark.parametrize("hours", ["9, 10, 11, 12, 13, 14, {}", "8 10 12 14 15 16 {}", "10.30, 11.00, 11.30, 12.{}"])
def test_what_is_free_is_no_card_whatever_its_sum(hours):
    lists = [hours.format(last) for last in range(17, 60)]
    assert any(luhn("".join(filter(str.isdecimal, one))) for one in lists)
    assert [BUILT_IN(one) for one in lists] == lists


def test_the_end_of_a_mask_is_no_piece_of_another_number():
    turns = ["[card …4242]", "4242 4242 4242"]
    assert BUILT_IN.turns(turns) == turns


def test_a_dialogue_remembers_no_more_than_it_says():
    dialogue = Dialogue(BUILT_IN)
    for _ in range(100):
        dialogue.turn("caller", "x" * 10_000)
    (kept,) = dialogue._before.values()
    assert len(kept) == REMEMBERED_TURNS - 1
    assert max(map(len, kept)) == 2000


@pytest.mark.parametrize(
    ("kinds", "shown"),
    [
        (("cards",), "[card …4242]; 123456782"),
        (("identities",), f"{VISA}; [id]"),
        ((), f"{VISA}; 123456782"),
    ],
)
def test_kinds_are_chosen(kinds, shown):
    mask = Mask(kinds)
    assert mask(f"{VISA}; 123456782") == shown
    assert mask.written(f"{VISA}; 123456782") == shown


def test_own_words_go_first_and_without_any_kind_too():
    def own(text):
        return text.replace("POL 1", "[policy]")

    assert Mask(own=own)(f"POL 1 {VISA}") == "[policy] [card …4242]"
    for mask in (Mask((), own), Mask(own=own)):
        assert (mask("POL 1"), mask.written("POL 1")) == ("[policy]", "[policy]")


def test_a_piece_shows_no_digit():
    assert BUILT_IN.piece("card 4242 four two, double 7 ארבע a1") == "card **** * *, double * * a*"
    assert Mask(()).piece("42 four") == "42 four"


def test_a_line_is_not_read_for_words():
    assert BUILT_IN.written(f"{SPOKEN} {VISA}") == f"{SPOKEN} [card …4242]"


@pytest.mark.parametrize(
    ("digits", "right"), [("79927398713", True), ("79927398710", False), ("18", True), ("81", False), ("", False)]
)
def test_the_check_digit(digits, right):
    assert luhn(digits) is right
