"""What is held in one dialect alone is a list, and it is true."""

import ast
import re
from collections.abc import Iterator

from e2e.dialects import HERE, ONE_DIALECT

IN_BOTH = re.compile(r"\bboth\b|dialect", re.IGNORECASE)


def held_in_both(test: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    words = " ".join(ast.unparse(decorator) for decorator in test.decorator_list)
    return IN_BOTH.search(words) is not None and ("REALTIME" not in words or "LIVE" in words)


def of_one_dialect() -> Iterator[str]:
    """`file::test`; of a file in which all are, the file."""
    for path in sorted([*HERE.glob("test_*.py"), *HERE.glob("strangers/test_*.py")]):
        tests = [
            node
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        ]
        name = path.relative_to(HERE).as_posix()
        alone = [f"{name}::{test.name}" for test in tests if not held_in_both(test)]
        yield from [name] if len(alone) == len(tests) else alone


def test_each_test_is_held_in_both_or_in_the_list() -> None:
    """`test_log` is: its nodes are of both, and its tests are of its nodes."""
    assert sorted([*ONE_DIALECT, "test_log.py"]) == sorted(of_one_dialect())


def test_each_has_its_reason() -> None:
    assert [name for name, reason in ONE_DIALECT.items() if len(reason.split()) < 3] == []
