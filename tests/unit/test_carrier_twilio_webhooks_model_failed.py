"""carrier.twilio.webhooks when a call ended as nobody wanted, or the next one would: nobody is left without a word."""

import pytest

from fastbridge.base.end_reasons import OURS_TO_EXPLAIN, UNBEGUN, EndReason
from front_desk import CALL, CALLER, FakeCall, make_node, post


@pytest.fixture
def node():
    return make_node()


def stream_ended(node):
    return post(node, "/webhook/stream_ended", CALLER | {"CallStatus": "in-progress"})


@pytest.mark.parametrize("reason", sorted(OURS_TO_EXPLAIN - UNBEGUN))
def test_a_call_that_ended_as_nobody_wanted_is_apologised_for(node, reason):
    node.directory.add(call := FakeCall(reason))
    node.directory.remove(call)
    answer = stream_ended(node)
    assert answer.verbs == ["Say", "Hangup"]
    assert "sorry" in answer.xml.find("Say").text
    assert call.told == []


def test_a_call_that_ends_by_the_webhook_is_apologised_for_too(node):
    node.directory.add(FakeCall(on_stream_ended="model_lost"))
    assert stream_ended(node).verbs == ["Say", "Hangup"]


def test_one_who_has_heard_the_apology_does_not_hear_it_again(node):
    node.directory.add(call := FakeCall("model_lost"))
    node.directory.note_apology(CALL)
    node.directory.remove(call)
    assert stream_ended(node).verbs == ["Hangup"]


@pytest.mark.parametrize("apologised", [True, False])
def test_with_somebody_to_pass_the_caller_on_to_he_is(apologised):
    node = make_node(fallback_number="+14155550177")
    node.directory.add(call := FakeCall("model_lost"))
    if apologised:
        node.directory.note_apology(CALL)
    node.directory.remove(call)
    answer = stream_ended(node)
    assert (answer.verbs, answer.xml.find("Dial").text) == (["Dial", "Hangup"], "+14155550177")


def test_a_call_that_ended_well_is_not_passed_on():
    node = make_node(fallback_number="+14155550177")
    node.directory.add(call := FakeCall("customer_hangup"))
    node.directory.remove(call)
    assert stream_ended(node).verbs == ["Hangup"]


@pytest.mark.parametrize("number", [None, "+14155550177"])
@pytest.mark.parametrize("known", ["refused", "pending"])
def test_a_call_that_never_began_is_not_left_without_a_word(known, number):
    node = make_node(fallback_number=number)
    post(node, "/webhook/incoming_call", CALLER)
    if known == "refused":
        node.directory.lose(CALL, EndReason.STREAM_REFUSED, "no mu-law")
    answer = stream_ended(node)
    assert answer.verbs == (["Say", "Hangup"] if number is None else ["Dial", "Hangup"])
    assert node.directory.ended_reason(CALL) == ("stream_refused" if known == "refused" else "no_stream")
    assert node.directory.pending == 0


def test_while_the_model_is_down_a_new_call_hears_so_at_once(node, caplog):
    node.directory.model_is_down = lambda: True
    answer = post(node, "/webhook/incoming_call", CALLER)
    assert answer.verbs == ["Say", "Hangup"]
    assert "sorry" in answer.xml.find("Say").text
    assert (node.directory.pending, node.directory.counters["model_down"]) == (0, 1)
    assert "call refused: model_down" in caplog.text


def test_while_the_model_is_down_a_new_call_is_passed_on_if_it_can_be():
    node = make_node(fallback_number="+14155550177")
    node.directory.model_is_down = lambda: True
    assert post(node, "/webhook/incoming_call", CALLER).verbs == ["Dial", "Hangup"]
