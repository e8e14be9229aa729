"""base.api_keys: who may do what, and what is no key."""

import pytest
from pydantic import SecretStr

from fastbridge.base.api_keys import SCOPES, ApiKeys, checked_keys, key_for

ALL, CALLS, BOTH = "a" * 20, "c" * 20, "b_-" * 10
TEXT = f"{ALL}, {CALLS}:calls ,{BOTH}:calls+recordings,"


def test_each_key_is_for_what_stands_behind_it() -> None:
    keys = ApiKeys(TEXT)
    assert keys.scopes(f"Bearer {ALL}") == SCOPES
    assert keys.scopes(f"bearer  {CALLS} ") == {"calls"}
    assert keys.scopes(f"Bearer {BOTH}") == {"calls", "recordings"}


@pytest.mark.parametrize(
    "given", ["", "Bearer", ALL, f"Basic {ALL}", f"Bearer {ALL}a", "Bearer \udcff", f"Bearer {TEXT}"]
)
def test_anything_else_is_nobodys(given: str) -> None:
    assert ApiKeys(TEXT).scopes(given) is None


@pytest.mark.parametrize(
    "text", ["", ",", "short", f"{ALL}:", f"{ALL}:all", f"{ALL}:calls+", f"{ALL} {CALLS}", "ü" * 20]
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        checked_keys(SecretStr(text))


def test_the_first_key_for_something_is_found() -> None:
    assert key_for(TEXT, "recordings") == ALL
    assert key_for(f"{CALLS}:calls", "recordings") is None
    assert checked_keys(None) is None
