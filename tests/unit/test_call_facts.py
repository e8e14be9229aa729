"""fastbridge.call.facts: each question by what its parts say, one at a time and together."""

from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.call.facts import Facts

SECOND_NS = 1_000_000_000


def call(**changed: Any) -> Any:
    """A call in the middle, nobody speaking; `assistant__playing=True` changes one fact."""
    parts: dict[str, dict[str, Any]] = {
        "assistant": {"playing": False, "held": False},
        "caller": {"last_media_ns": 10 * SECOND_NS},
        "clock": {"now_ns": lambda: 10 * SECOND_NS},
        "detector": {"speaking": False},
        "turns": dict.fromkeys(
            ("owed", "speaking", "interrupted_unnoticed", "uncommitted", "owed_at_loss", "spoke_at_loss"), False
        )
        | {"overdue_seconds": 0.0},
        "format_watch": {"noise_response": ""},
        "upload_watch": {"said_unheard": False},
        "barge_in": {"held": False},
        "greeting": {"locked": False, "awaited": False},
        "answered_by": {"waits": False},
        "fallback": {"ending": False},
        "line": {"up": True, "returning": False},
        "tools": {"busy": False, "running": 0, "running_tools": []},
        "stats": {"ready_ms": 200},
        "idle": {"caller_speaking": False},
        "transfers": {"holding": False, "leading": False, "transferred_to": None},
        "hangup": {"asked": False, "firm": False, "puts_through": False, "transferred_to": None},
        "privacy": {"on": False},
        "responses": {"busy": False, "wanted": False, "says_last_word": False},
        "session": {"ready": True, "handed_on": False},
    }
    live = changed.pop("live", True)
    for name, value in changed.items():
        part, _, fact = name.partition("__")
        assert fact in parts[part], f"{name} is no fact"
        parts[part][fact] = value
    made = {name: SimpleNamespace(**facts) for name, facts in parts.items()}
    made["session"].responses = made.pop("responses")
    return SimpleNamespace(live=live, **made)


PASSED_ON = {
    "live": {"live": False},
    "line_up": {"line__up": False},
    "leave_asked": {"hangup__asked": True},
    "puts_through": {"hangup__puts_through": True},
    "assistant_plays": {"assistant__playing": True},
    "said_unheard": {"upload_watch__said_unheard": True},
    "overdue_seconds": {"turns__overdue_seconds": 0.5},
    "model_hears": {"turns__speaking": True},
    "uncommitted": {"turns__uncommitted": True},
    "owed_at_loss": {"turns__owed_at_loss": True},
    "spoke_at_loss": {"turns__spoke_at_loss": True},
    "noise_response": {"format_watch__noise_response": "resp_1"},
    "holding": {"transfers__holding": True},
    "running_tools": {"tools__running_tools": ["look_up"]},
    "tools_at_work": {"tools__busy": True},
    "private": {"privacy__on": True},
    "handed_on": {"session__handed_on": True},
}
"""What one part alone says, and what makes it say something else."""
QUESTIONS = [name for name, member in vars(Facts).items() if isinstance(member, property) and name not in PASSED_ON]
STILL = {"attentive", "quiet", "speechless", "between_responses", "between_turns"}
"""What is true of a call in which nothing happens."""


def true_of(**changed: Any) -> set[str]:
    facts = Facts(call(**changed))
    return {name for name in QUESTIONS if getattr(facts, name) and name != "waits_for"}


@pytest.mark.parametrize("name", PASSED_ON)
def test_what_one_part_says_is_passed_on(name):
    (said,) = PASSED_ON[name].values()
    assert getattr(Facts(call(**PASSED_ON[name])), name) == said != getattr(Facts(call()), name)


@pytest.mark.parametrize(
    ("changed", "tells"), [({}, False), ({"turns__speaking": True}, True), ({"line__up": False}, True)], ids=str
)
def test_nothing_goes_unnoticed_where_the_model_tells_of_him_or_there_is_none(changed, tells):
    assert ("model_tells_of_the_caller" in true_of(**changed)) == tells


def test_who_interrupts_and_is_not_told_of_is_loud():
    assert "interrupts_unnoticed" not in true_of(turns__interrupted_unnoticed=True)
    assert "interrupts_unnoticed" not in true_of(detector__speaking=True)
    assert "interrupts_unnoticed" in true_of(turns__interrupted_unnoticed=True, detector__speaking=True)


def test_nothing_happens():
    assert true_of() == STILL
    assert Facts(call()).waits_for is None


@pytest.mark.parametrize(
    ("changed", "gained", "lost"),
    [
        ({"assistant__playing": True}, {"assistant_speaks", "may_interrupt"}, {"quiet", "speechless", "between_turns"}),
        ({"assistant__held": True}, {"assistant_speaks"}, {"quiet", "speechless", "between_turns"}),
        ({"turns__owed": True}, set(), {"quiet", "between_turns"}),
        ({"transfers__leading": True}, set(), {"quiet"}),
        ({"turns__speaking": True}, {"model_tells_of_the_caller"}, {"between_turns"}),
        ({"idle__caller_speaking": True}, {"caller_speaks"}, {"speechless"}),
        ({"detector__speaking": True}, {"caller_is_loud"}, {"between_turns"}),
        ({"barge_in__held": True}, {"caller_may_be_speaking"}, set()),
        ({"fallback__ending": True}, {"leaving"}, {"attentive", "speechless", "between_responses", "between_turns"}),
        ({"hangup__asked": True}, {"leaving"}, {"attentive", "speechless"}),
        (
            {"responses__busy": True},
            {"model_works"},
            {"quiet", "speechless", "between_responses", "between_turns"},
        ),
        ({"transfers__holding": True}, set(), {"attentive", "speechless"}),
        ({"tools__busy": True}, {"model_works"}, {"quiet", "between_responses", "between_turns"}),
        ({"line__up": False}, {"model_tells_of_the_caller"}, {"between_responses", "between_turns"}),
        ({"session__ready": False}, set(), {"attentive", "speechless"}),
        ({"session__handed_on": True}, set(), {"between_responses", "between_turns"}),
        ({"privacy__on": True}, set(), {"attentive", "speechless"}),
        ({"hangup__transferred_to": "reception"}, {"transferred"}, set()),
        ({"transfers__transferred_to": "reception"}, {"transferred"}, set()),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",  # a set has no order
)
def test_one_thing_happens(changed, gained, lost):
    assert true_of(**changed) == (STILL | gained) - lost


def test_a_session_that_is_not_ready_works_on_nothing_that_is_heard():
    assert "quiet" in true_of(session__ready=False, responses__busy=True, tools__busy=True)


def test_one_that_will_be_ready_again_does():
    lost: dict[str, Any] = {"line__up": False, "session__ready": False, "line__returning": True}
    assert "quiet" in true_of(**lost)
    assert "quiet" not in true_of(**lost, responses__busy=True)
    assert "quiet" not in true_of(**lost, tools__busy=True)


@pytest.mark.parametrize(("last_word", "quiet"), [(True, False), (False, True)])
def test_a_firm_goodbye_waits_for_its_own_word_alone(last_word, quiet):
    given = {"hangup__firm": True, "responses__busy": True, "responses__says_last_word": last_word}
    assert ("quiet" in true_of(**given)) == quiet


def test_a_line_without_audio_is_not_loud():
    assert "caller_is_loud" not in true_of(detector__speaking=True, caller__last_media_ns=9 * SECOND_NS)
    assert "caller_is_loud" in true_of(detector__speaking=True, caller__last_media_ns=int(9.5 * SECOND_NS))


def test_who_goes_on_is_heard_by_both():
    assert "caller_goes_on" in true_of(detector__speaking=True, turns__speaking=True)
    assert "caller_may_be_speaking" in true_of(detector__speaking=True, line__up=False)
    assert "caller_may_be_speaking" not in true_of(detector__speaking=True)


@pytest.mark.parametrize(
    "against",
    [
        {"barge_in__held": True},
        {"greeting__locked": True},
        {"fallback__ending": True},
        {"hangup__firm": True},
        {"transfers__holding": True},
        {"live": False},
    ],
    ids=str,
)
def test_what_may_not_be_interrupted(against):
    assert "may_interrupt" in true_of(assistant__playing=True)
    assert "may_interrupt" not in true_of(assistant__playing=True, **against)


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"greeting__awaited": True, "responses__wanted": True}, "connecting"),
        ({"stats__ready_ms": None, "line__up": False}, "connecting"),
        ({"line__up": False}, "idle"),
        ({"line__up": False, "responses__wanted": True}, "lost"),
        ({"line__up": False, "turns__owed": True}, "lost"),
        ({"line__up": False, "tools__running": 1}, "lost"),
        ({"tools__running": 1, "responses__wanted": True}, "tool"),
        ({"responses__wanted": True, "turns__owed": True}, "response"),
        ({"turns__owed": True}, "answer"),
        ({"session__handed_on": True}, "response"),
        ({"responses__busy": True}, "question"),
        ({"responses__busy": True, "session__handed_on": True}, "response"),
        ({"session__handed_on": True, "turns__owed": True}, "answer"),
        ({"session__handed_on": True, "turns__speaking": True}, None),
        ({"turns__owed": True, "turns__speaking": True}, None),
        ({"line__up": False, "fallback__ending": True}, None),
        ({"tools__running": 1, "privacy__on": True}, None),
        ({"responses__wanted": True, "answered_by__waits": True}, None),
    ],
    ids=str,
)
def test_what_the_caller_waits_for(changed, cause):
    assert Facts(call(**changed)).waits_for == cause


def test_the_tools_at_work_are_the_runners():
    assert Facts(call(tools__running_tools=["a tool"])).running_tools == ["a tool"]
