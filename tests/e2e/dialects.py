"""The two dialects of a model, for tests that are held in both; and which tests are not, each with its reason.

A test that names `dialect` among its arguments is held in each it is parametrised with. `test_dialects` holds the lists
below to the tests: whatever runs in one dialect alone is in one of them, and nothing is that runs in both.
"""

from pathlib import Path

import pytest

from dialects import LIVE, MODELS, REALTIME

__all__ = ["LIVE", "MODELS", "REALTIME"]
HERE = Path(__file__).parent

both = pytest.mark.parametrize("dialect", list(MODELS))


def model_of(dialect: str) -> dict[str, str]:
    """The settings of a node whose model speaks this dialect."""
    return {"FASTBRIDGE_MODEL": MODELS[dialect]}


NO_MODEL = "the model takes no part"
NO_CALL = "no call is held"
ANY_MODEL = "the node's end of it is the same whatever the model speaks, and is held in the file's other tests"
NO_END = "a stream's voice that falls silent has ended: no event says that it was to go on"
STOPS_ITSELF = "a stream's voice stops by itself for the caller; one that does not means to go on, and is heard"
ONE_DIALECT = {
    "test_attacks.py": NO_MODEL,
    "test_attacks_flood.py": NO_MODEL,
    "test_attacks_http.py": NO_MODEL,
    "test_attacks_live.py": "the fields, the stream and the work of GPT-Live alone",
    "test_attacks_model.py::test_a_caller_who_hangs_up_is_not_apologised_to": NO_MODEL,
    "test_attacks_model.py::test_a_drain_has_an_end": ANY_MODEL,
    "test_attacks_model.py::test_a_drain_without_calls_ends_at_once": NO_CALL,
    "test_attacks_model.py::test_audio_and_events_keep_their_order_however_they_are_cut": (
        "responses, which GPT-Live has not; its stream in pieces is in test_attacks_live"
    ),
    "test_budgets.py": "held in both, each with its own prices",
    "test_calls.py::test_what_turns_out_to_be_no_interruption_is_taken_back": (
        "compares the frames of an item, which a stream has not; tests/unit/test_model_live_session holds and resumes"
    ),
    "test_demo.py": "the demo of either, which has its own checks of each",
    "test_dialects.py": NO_MODEL,
    "test_doctor.py": "of the model nothing but its name",
    "test_documented_tests.py::test_they_fail_where_there_is_no_agent": NO_CALL,
    "test_endpoints.py": "other services' dialects of the Realtime API",
    "test_faults.py::test_a_response_is_asked_for_again": (
        "responses that fail or are silent; what GPT-Live does not begin is in tests/unit/test_model_live_session"
    ),
    "test_faults.py::test_rubbish_is_not_heard": (
        "a megabyte of audio is sound, in a stream; what is none is in test_attacks_live"
    ),
    "test_faults.py::test_after_a_flood_an_interruption_silences_at_once": (
        "a stream comes as fast as it is spoken; one that does not is in test_attacks_live"
    ),
    "test_live.py": "renewal by fork, and one call of each kind",
    "test_outbound.py::test_a_node_that_drains_is_there_for_who_answers": ANY_MODEL,
    "test_outbound.py::test_everything_that_goes_wrong_leaves_one_call_and_one_record_each": NO_MODEL,
    "test_outbound.py::test_the_command_tells_how_it_went": NO_MODEL,
    "test_recordings.py::test_a_call_that_is_recorded_can_be_heard": NO_MODEL,
    "test_recordings.py::test_killed_at_any_moment_the_worker_loses_none_and_fetches_none_twice": NO_MODEL,
    "test_recordings.py::test_one_that_was_made_is_fetched_served_linked_and_deleted": NO_MODEL,
    "test_reverse_proxies.py": NO_MODEL,
    "test_start_and_stop.py": NO_CALL,
    "test_transfer.py::test_busy": ANY_MODEL,
    "test_transfer.py::test_no_answer": ANY_MODEL,
    "test_transfer.py::test_voicemail": ANY_MODEL,
    "test_uvicorn.py::test_what_cannot_work_ends_in_a_sentence": NO_CALL,
    "test_workers.py::test_a_worker_that_hangs_loses_its_new_calls_to_the_others_at_once": ANY_MODEL,
    "strangers/test_answers.py::test_an_answer_that_the_model_breaks_off_is_followed_by_another": NO_END,
    "strangers/test_answers.py::test_work_in_an_answer_that_the_node_gave_up_is_not_done": (
        "no answer is given up while the model streams, and work that is begun is waited for"
    ),
    "strangers/test_asgi.py": ANY_MODEL,
    "strangers/test_doors.py": NO_MODEL,
    "strangers/test_floor.py::test_a_model_that_only_calls_tools_is_asked_for_words": (
        "no answer can be asked for without tools; who calls them without end is given up in both"
    ),
    "strangers/test_floor.py::test_each_answer_that_comes_into_a_sentence_gives_way_to_it": STOPS_ITSELF,
    "strangers/test_floor.py::test_the_goodbye_to_a_noisy_line_is_heard_to_its_end": (
        "what becomes no words is no turn: a noisy line is a silent one"
    ),
    "strangers/test_floor.py::test_who_is_heard_by_the_node_alone_keeps_the_floor": STOPS_ITSELF,
    "strangers/test_options.py::test_an_agents_own_come_before_them": "of these options a stream has none",
}
"""Files and tests that are held in one dialect alone, and why."""
