"""fastbridge.call.sources: no more is known of a part than is asked of it."""

import ast
import inspect

import pytest

from fastbridge.call import facts, sources

ASKED = {node.attr for node in ast.walk(ast.parse(inspect.getsource(facts))) if isinstance(node, ast.Attribute)}
"""What `facts` reads of anything."""


def words(part: type) -> list[str]:
    return [name for name, value in vars(part).items() if isinstance(value, property)]


PARTS = [part for part in vars(sources).values() if isinstance(part, type) and words(part)]


def test_parts_are_seen():
    assert len(PARTS) > 15
    assert "last_media_ns" in words(sources.Arriving)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_each_word_is_asked(part):
    assert [word for word in words(part) if word not in ASKED] == []
