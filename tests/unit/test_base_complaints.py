"""The sentences themselves are tests/unit/test_config.py's."""

import pytest
from pydantic import AliasChoices, BaseModel, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from fastbridge.base.complaints import complaints, names_of, what_it_is


class Two(BaseModel):
    port: int = Field(1, validation_alias=AliasChoices("PORT", "MY_PORT"), description="a number")
    key: SecretStr | None = Field(None, validation_alias=AliasChoices("KEY"), description="a key", max_length=3)
    plain: int = Field(0, validation_alias=AliasChoices("PLAIN"))


def found(**given):
    with pytest.raises(ValidationError) as caught:
        Two(**given)
    return complaints(caught.value, Two.model_fields)


def test_a_sentence_for_each_in_the_reports_order():
    assert found(PLAIN="x", PORT="abc") == {
        "port": "PORT must be a number, not 'abc'.",
        "plain": "PLAIN must be something else, not 'x'.",
    }


def test_the_variable_that_is_set_is_the_one_that_is_named(monkeypatch):
    monkeypatch.setenv("MY_PORT", "abc")
    assert found(MY_PORT="abc") == {"port": "MY_PORT must be a number, not 'abc'."}


def test_a_secret_is_not_shown():
    assert found(KEY="hunter2") == {"key": "KEY must be a key."}


def test_a_long_value_is_cut():
    assert found(PORT="x" * 200)["port"] == f"PORT must be a number, not '{'x' * 80}'."


def test_names_and_meaning():
    assert names_of(Two.model_fields["port"]) == ["PORT", "MY_PORT"]
    assert names_of(FieldInfo()) == []
    assert what_it_is(Two.model_fields["plain"]) == "something else"
