from types import SimpleNamespace

import pytest

from fastbridge.base.end_reasons import EndReason
from fastbridge.carrier import admission as calls
from fastbridge.carrier.admission import NOT_IN_TIME, NS_PER_SECOND, Admission, Directory, Refusal
from fastbridge.config import Settings
from fastbridge.errors import IllegalEvent

ACCOUNT = "AC" + "0" * 32


def sid(number):
    return f"CA{number:032x}"


class Now:
    """A clock that is moved by hand."""

    def __init__(self):
        self.ns = 10**18

    def __call__(self):
        return self.ns

    def wait(self, seconds):
        self.ns += int(seconds * NS_PER_SECOND)


@pytest.fixture
def now():
    return Now()


@pytest.fixture
def make(now):
    return lambda **settings: Directory(Settings.model_construct(**settings), now)


def admit(directory, number=1, account=ACCOUNT, **changes):
    details = {"from_number": "+1", "to_number": "+2", "direction": "inbound", "parameters": {}} | changes
    return directory.admit(sid(number), account, **details)


def run(directory, number=1, end_reason=None):
    call = SimpleNamespace(call_sid=sid(number), end_reason=end_reason)
    directory.add(call)
    return call


def test_an_admission_says_who_calls(make, now):
    given = {"business_id": "456", "lang": "he"}
    admission = admit(make(), from_number="+1415", to_number="+1800", direction="outbound", parameters=given)
    assert isinstance(admission, Admission)
    assert (admission.call_sid, admission.account_sid) == (sid(1), ACCOUNT)
    assert (admission.from_number, admission.to_number, admission.direction) == ("+1415", "+1800", "outbound")
    assert admission.expires_ns == now.ns + 30 * NS_PER_SECOND
    assert admission.business_id == "456"
    given["lang"] = "en"
    assert admission.parameters == {"business_id": "456", "lang": "he"}
    assert admit(make()).business_id is None


def test_tokens_are_long_random_and_unseen(make):
    directory = make(max_pending_calls=100)
    tokens = [admit(directory, number).token for number in range(100)]
    assert len(set(tokens)) == 100
    assert {len(token) for token in tokens} == {22}
    assert all(token.replace("-", "").replace("_", "").isalnum() for token in tokens)
    assert tokens[0] not in repr(admit(directory, 0))


def test_a_token_admits_once(make):
    directory = make()
    admission = admit(directory)
    assert directory.peek(admission.token) is admission
    assert directory.peek(admission.token) is admission
    assert directory.redeem(admission.token, sid(1), ACCOUNT) is admission
    assert directory.redeem(admission.token, sid(1), ACCOUNT) is None
    assert directory.peek(admission.token) is None
    assert (directory.counters["token_spent"], directory.counters["token_unknown"]) == (2, 0)


def test_a_token_expires(make, now):
    directory = make(stream_token_seconds=30)
    admission = admit(directory)
    now.wait(29.999)
    assert directory.peek(admission.token) is admission
    now.wait(0.001)
    assert directory.peek(admission.token) is None
    assert directory.redeem(admission.token, sid(1), ACCOUNT) is None
    assert directory.counters["token_expired"] == 2
    assert directory.pending == 0
    assert directory.judge(admission.token) == "token_expired"


def test_what_is_wrong_with_a_token_is_told_and_not_counted(make, now):
    directory = make()
    first, second, third = admit(directory, 1), admit(directory, 2), admit(directory, 3)
    assert directory.judge(first.token) is first
    directory.abandon(sid(1))
    directory.lose(sid(2), EndReason.NO_STREAM, "it closed before its start")
    assert [directory.judge(token) for token in (first.token, second.token, "x")] == [
        "token_spent",
        "token_spent",
        "token_unknown",
    ]
    now.wait(31)
    directory.expire()
    assert directory.judge(third.token) == "token_expired"
    now.wait(3601)
    directory.redeem(admit(directory, 4).token, sid(4), ACCOUNT)
    assert directory.judge(third.token) == "token_unknown"
    assert not any(directory.counters[f"token_{fault}"] for fault in ("unknown", "spent", "expired"))


@pytest.mark.parametrize(
    ("call_sid", "account_sid"),
    [
        (sid(2), ACCOUNT),
        (sid(1), "AC" + "1" * 32),
        ("", ""),
        (f"{sid(1)} {ACCOUNT}", ""),
        ("\ud800", "é"),
    ],
)
def test_a_token_is_bound_to_its_call_and_a_wrong_start_does_not_consume_it(make, call_sid, account_sid):
    directory = make()
    admission = admit(directory)
    assert directory.redeem(admission.token, call_sid, account_sid) is None
    assert directory.counters["token_mismatch"] == 1
    assert directory.redeem(admission.token, sid(1), ACCOUNT) is admission


@pytest.mark.parametrize("token", ["", "x", "é", "\ud800", "a" * 100_000])
def test_a_guess_is_counted(make, token):
    directory = make()
    admit(directory)
    assert directory.peek(token) is None
    assert directory.redeem(token, sid(1), ACCOUNT) is None
    assert directory.counters["token_unknown"] == 2
    assert directory.pending == 1


def test_a_retried_webhook_gets_the_same_token_with_the_same_expiry(make, now):
    directory = make()
    first = admit(directory)
    now.wait(10)
    directory.draining = True
    assert admit(directory) is first
    assert directory.pending == 1


def test_a_replay_of_a_spent_token_is_refused(make, now):
    directory = make()
    token = admit(directory).token
    directory.redeem(token, sid(1), ACCOUNT)
    assert admit(directory) == Refusal("replay")
    call = run(directory)
    assert admit(directory) == Refusal("replay")
    now.wait(7200)
    assert admit(directory) == Refusal("replay")
    directory.is_news(sid(1), "completed", 9)
    directory.remove(call)
    now.wait(3599)
    assert admit(directory) == Refusal("replay")
    now.wait(1)
    assert isinstance(admit(directory), Admission)
    assert directory.counters["replay"] == 4


def test_a_call_whose_stream_has_ended_may_come_again(make, now):
    directory = make()
    first = admit(directory)
    directory.redeem(first.token, sid(1), ACCOUNT)
    call = run(directory, end_reason="transferred")
    directory.note_apology(sid(1))
    directory.remove(call)
    assert admit(directory, account="AC" + "1" * 32) == Refusal("replay")
    again = admit(directory)
    assert isinstance(again, Admission)
    assert again.token != first.token
    assert admit(directory) is again
    assert (directory.ended_reason(sid(1)), directory.was_apologised(sid(1))) == (None, False)
    assert directory.redeem(first.token, sid(1), ACCOUNT) is None
    assert directory.redeem(again.token, sid(1), ACCOUNT) is again
    run(directory)
    assert admit(directory) == Refusal("replay")


def test_not_for_ever(make):
    directory = make()
    for _ in range(calls.MAX_STREAMS):
        admission = admit(directory)
        assert isinstance(admission, Admission)
        directory.redeem(admission.token, sid(1), ACCOUNT)
        directory.remove(run(directory, end_reason="transferred"))
    assert admit(directory) == Refusal("replay")


def test_not_one_that_did_not_come_the_last_time(make, now):
    directory = make()
    admission = admit(directory)
    directory.redeem(admission.token, sid(1), ACCOUNT)
    directory.remove(run(directory, end_reason="transferred"))
    assert isinstance(admit(directory), Admission)
    now.wait(31)
    assert admit(directory) == Refusal("replay")


@pytest.mark.parametrize("how", ["said", "expired"])
def test_a_call_that_never_begins_is_missed_and_gives_its_place_back(make, now, how):
    directory = make(max_calls=1)
    lost = []
    directory.on_lost = lambda *what: lost.append(what)
    admission = admit(directory)
    if how == "said":
        assert directory.lose(sid(1), EndReason.STREAM_REFUSED, "no mu-law")
        assert not directory.lose(sid(1), EndReason.STREAM_REFUSED, "no mu-law")
        expected = (admission, "stream_refused", "no mu-law")
    else:
        now.wait(29)
        directory.expire()
        assert lost == []
        now.wait(2)
        directory.expire()
        expected = (admission, "no_stream", NOT_IN_TIME)
    assert lost == [expected]
    assert directory.ended_reason(sid(1)) == expected[1]
    assert (directory.pending, directory.peek(admission.token)) == (0, None)
    assert isinstance(admit(directory, 2), Admission)


def test_one_who_hangs_up_before_his_stream_is_not_missed(make):
    directory = make()
    lost = []
    directory.on_lost = lambda *what: lost.append(what)
    admit(directory)
    assert directory.abandon(sid(1))
    assert (lost, directory.ended_reason(sid(1))) == ([], None)


def test_a_replay_after_expiry_or_hangup_is_refused(make, now):
    directory = make()
    admit(directory, 1)
    now.wait(31)
    assert admit(directory, 1) == Refusal("replay")
    admit(directory, 2)
    assert directory.abandon(sid(2))
    assert admit(directory, 2) == Refusal("replay")


def test_a_replay_after_hanging_up_is_refused_though_a_stream_of_it_has_run(make):
    directory = make()
    directory.redeem(admit(directory).token, sid(1), ACCOUNT)
    directory.remove(run(directory, end_reason="transferred"))
    assert isinstance(admit(directory, 1), Admission)
    assert directory.abandon(sid(1))
    assert admit(directory, 1) == Refusal("replay")


def test_another_account_cannot_ask_for_the_token_of_a_call(make):
    directory = make()
    admit(directory)
    assert admit(directory, account="AC" + "1" * 32) == Refusal("replay")


def test_capacity_counts_live_and_pending(make, now):
    directory = make(max_calls=3)
    call = run(directory, 1)
    admit(directory, 2)
    third = admit(directory, 3)
    assert (directory.live, directory.pending) == (1, 2)
    assert admit(directory, 4) == Refusal("capacity")
    assert admit(directory, 3) is third
    directory.remove(call)
    assert isinstance(admit(directory, 4), Admission)
    assert admit(directory, 5) == Refusal("capacity")
    now.wait(30)
    assert isinstance(admit(directory, 5), Admission)
    assert directory.counters["capacity"] == 2


def test_pending_calls_are_bounded(make):
    directory = make(max_pending_calls=2)
    admit(directory, 1)
    admit(directory, 2)
    assert admit(directory, 3) == Refusal("pending")
    assert directory.abandon(sid(1))
    assert not directory.abandon(sid(1))
    assert isinstance(admit(directory, 4), Admission)


def test_draining_admits_nobody_but_whom_we_have_called(make):
    directory = make(max_pending_calls=2)
    directory.draining = True
    assert isinstance(admit(directory, 2, direction="outbound"), Admission)
    assert isinstance(admit(directory, 3, direction="outbound"), Admission)
    assert admit(directory, 4, direction="outbound") == Refusal("pending")
    directory = make()
    directory.draining = True
    assert admit(directory) == Refusal("draining")
    assert directory.counters["draining"] == 1


def test_a_refusal_is_not_remembered_against_the_call(make):
    directory = make(max_calls=1)
    call = run(directory, 1)
    assert admit(directory, 2) == Refusal("capacity")
    directory.remove(call)
    assert isinstance(admit(directory, 2), Admission)


def test_sockets_are_capped_per_address_and_in_all(make):
    directory = make(max_connections=3, max_connections_per_ip=2)
    assert directory.connected("a")
    assert directory.connected("a")
    assert not directory.connected("a")
    assert directory.connected("b")
    assert not directory.connected("c")
    assert (directory.counters["connections_per_ip"], directory.counters["connections"]) == (1, 1)
    directory.disconnected("a")
    assert directory.connected("c")
    for ip in ("a", "b", "c"):
        directory.disconnected(ip)
    assert not directory._connections
    with pytest.raises(IllegalEvent, match="not counted"):
        directory.disconnected("a")
    assert directory.connected("a")


def test_live_calls_are_found_by_sid(make):
    directory = make()
    call = run(directory)
    assert directory.get(sid(1)) is call
    assert directory.get(sid(2)) is None
    directory.remove(call)
    assert directory.get(sid(1)) is None
    assert directory.live == 0


def test_the_first_call_of_a_sid_stays(make):
    directory = make()
    call = run(directory)
    with pytest.raises(IllegalEvent, match="already live"):
        run(directory)
    stranger = SimpleNamespace(call_sid=sid(1), end_reason="stranger")
    directory.remove(stranger)
    assert directory.get(sid(1)) is call
    assert directory.ended_reason(sid(1)) is None


def test_why_a_call_ended_is_kept_for_an_hour(make, now):
    directory = make()
    directory.remove(run(directory, 1, "model_unavailable"))
    directory.remove(run(directory, 2, None))
    assert directory.ended_reason(sid(1)) == "model_unavailable"
    assert directory.ended_reason(sid(2)) is None
    assert directory.ended_reason(sid(3)) is None
    now.wait(3600)
    assert directory.ended_reason(sid(1)) is None


def test_memory_is_bounded(make, now, monkeypatch):
    monkeypatch.setattr(calls, "MAX_REMEMBERED", 3)
    directory = make()
    for number in range(5):
        directory.remove(run(directory, number, "hangup"))
    assert [directory.ended_reason(sid(number)) for number in range(5)] == [None, None, "hangup", "hangup", "hangup"]
    now.wait(3600)
    directory.remove(run(directory, 9, "hangup"))
    assert len(directory._ended._values) == 1


@pytest.mark.parametrize(
    ("arriving", "news"),
    [
        ([("ringing", 1), ("in-progress", 2), ("completed", 3)], [True, True, True]),
        ([("completed", 3), ("in-progress", 2), ("ringing", 1), ("completed", 3)], [True, False, False, False]),
        ([("in-progress", 2), ("ringing", 1), ("in-progress", 2)], [True, False, False]),
        ([("ringing", 5), ("completed", 3), ("ringing", 6)], [True, True, False]),
        ([("ringing", None), ("ringing", None), ("completed", None), ("ringing", None)], [True, True, True, False]),
        ([("initiated", 0), ("initiated", 0)], [True, False]),
    ],
)
def test_status_callbacks_in_any_order(make, arriving, news):
    directory = make()
    assert [directory.is_news(sid(1), status, number) for status, number in arriving] == news
    assert directory.is_news(sid(2), "ringing", 0)


def test_rejection_reasons_are_a_closed_set(make):
    directory = make()
    assert set(directory.counters) == set(calls.REASONS)
    assert set(directory.counters.values()) == {0}
    directory.refuse("slow")
    assert directory.counters["slow"] == 1
    with pytest.raises(KeyError):
        directory.refuse("+972501234512")


def test_who_has_spent_what_may_be_spent_is_not_let_in(make):
    directory = make()
    directory.is_spent = lambda business_id: business_id == "7"
    assert admit(directory, 1, parameters={"business_id": "7"}) == Refusal("budget")
    assert isinstance(admit(directory, 2, parameters={"business_id": "8"}), Admission)
    assert isinstance(admit(directory, 3), Admission)
    assert directory.counters["budget"] == 1


@pytest.mark.parametrize("status", sorted(calls.TERMINAL_STATUSES))
def test_a_webhook_that_comes_after_the_end_of_its_call_is_refused(make, now, status):
    """It was overtaken: no place is kept for a stream that cannot come, and none is missed."""
    directory = make()
    assert directory.is_news(sid(1), "ringing", 0)
    assert directory.is_news(sid(1), status, 1)
    assert admit(directory) == Refusal("replay")
    assert isinstance(admit(directory, 2), Admission)


def test_who_answered_is_known_before_the_stream_of_a_call_that_was_let_in(make, now):
    directory = make()
    directory.note_verdict(sid(1), "machine")
    assert directory.verdict(sid(1)) is None, "it is nobody's here"
    admit(directory)
    directory.note_verdict(sid(1), "machine")
    assert (directory.verdict(sid(1)), directory.verdict(sid(2))) == ("machine", None)
    now.wait(3600)
    assert directory.verdict(sid(1)) is None
