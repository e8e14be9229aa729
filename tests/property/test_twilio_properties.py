"""The carrier's dialect against software we did not write: Twilio's validator and an XML parser. And the directory as a
state machine: a token admits once, a replay never mints a second."""

import re
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace
from urllib.parse import quote

from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from twilio.request_validator import RequestValidator

from fastbridge.base.urls import normalised_url
from fastbridge.carrier.admission import NS_PER_SECOND, Admission, Directory, Refusal
from fastbridge.carrier.twilio.messages import DTMF_DIGITS, parse_dtmf, parse_start
from fastbridge.carrier.twilio.signature import valid_handshake, valid_webhook
from fastbridge.carrier.twilio.twiml import connect_twiml
from fastbridge.config import Settings

texts = st.text(max_size=12) | st.sampled_from(["", " ", "\t", " a ", "é", "שלום", "\u2028", "+1415", "a&b=c", "\x00"])
names = st.sampled_from(["From", "To", "Digits", "a", "A", "b", "é", "", "CallSid"]) | texts
params = st.lists(st.tuples(names, texts), max_size=8)
hosts = st.sampled_from(["x.example", "mycompany.com", "127.0.0.1", "a-b.example.org"])
public_urls = st.builds(
    lambda scheme, host, port, prefix: normalised_url(f"{scheme}://{host}{port}{prefix}"),
    st.sampled_from(["https", "http"]),
    hosts,
    st.sampled_from(["", ":443", ":80", ":8443", ":5050"]),
    st.sampled_from(["", "/voice", "/voice/"]),
)
queries = st.lists(st.tuples(names, texts), max_size=4).map(
    lambda pairs: "&".join(f"{quote(name)}={quote(value, safe='+:/')}" for name, value in pairs)
)
paths = st.builds(
    lambda path, query: "/" + path + (f"?{query}" if query else ""),
    st.text(alphabet="abc/%2F.;:@~é שx-_", max_size=16).map(lambda path: quote(path, safe="/%;:@.")),
    queries | st.sampled_from(["", "?", "a", "a=", "=", "&&", "bodySHA256=0"]),
)
tokens = st.sampled_from(["12345", "token", "טוקן"])


class Fields(dict):
    """Repeated form fields, as Django gives them to the validator."""

    getlist = dict.__getitem__


def fields(pairs):
    found = Fields()
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def port_forms(url):
    scheme, rest = url.split("://", 1)
    host, slash, path = rest.partition("/")
    bare = re.sub(r":\d+$", "", host)
    return [f"{scheme}://{each}{slash}{path}" for each in (bare, f"{bare}:443", f"{bare}:80", f"{bare}:8443", host)]


@given(tokens, public_urls, paths, params, st.data())
def test_the_verdict_on_a_form_is_the_validators(token, public_url, path, pairs, data):
    """Signed over any port form, by any token, over these or other parameters: both say the same."""
    validator = RequestValidator(token)
    url = data.draw(st.sampled_from(port_forms(public_url + path)))
    signed = data.draw(st.just(pairs) | st.permutations(pairs) | params | st.just([*pairs, *pairs]))
    signer = RequestValidator(data.draw(st.just(token) | tokens))
    signature = signer.compute_signature(url, fields(signed))
    expected = validator.validate(public_url + path, fields(pairs), signature)
    form = "application/x-www-form-urlencoded"
    assert valid_webhook(token, public_url, path, pairs, b"", form, signature) is expected


@given(tokens, public_urls, paths, params)
def test_what_twilio_signs_is_valid_in_any_order_and_repeated(token, public_url, path, pairs):
    signature = RequestValidator(token).compute_signature(public_url + path, fields(pairs))
    assume(RequestValidator(token).validate(public_url + path, fields(pairs), signature))
    for received in (pairs, pairs[::-1], pairs + pairs):
        assert valid_webhook(token, public_url, path, received, b"", "", signature)


@given(tokens, public_urls, paths, st.text(max_size=40), st.booleans())
def test_the_verdict_on_json_is_the_validators(token, public_url, path, body, honest):
    validator = RequestValidator(token)
    given_hash = validator.compute_hash(body) if honest else "0" * 64
    path += ("&" if "?" in path else "?") + f"bodySHA256={given_hash}"
    signature = validator.compute_signature(public_url + path, {})
    expected = validator.validate(public_url + path, body, signature)
    verdict = valid_webhook(token, public_url, path, [], body.encode(), "application/json", signature)
    assert verdict is expected


@given(tokens, public_urls, paths, params, st.text(alphabet=st.characters(codec=None)), st.binary(max_size=20), texts)
def test_nothing_a_peer_sends_raises(token, public_url, path, pairs, signature, body, content_type):
    assert valid_webhook(token, public_url, path, pairs, body, content_type, signature) in (True, False)
    assert not valid_handshake(token, public_url, path, signature)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
)
starts = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("accountSid", "callSid", "streamSid", "mediaFormat", "customParameters"), anything),
)


@given(
    st.fixed_dictionaries(
        {"event": st.just("start") | anything},
        optional={"start": starts | anything, "streamSid": anything, "dtmf": anything},
    )
)
def test_no_message_raises_out_of_a_parser(message):
    assert isinstance(parse_start(message), str)
    assert parse_dtmf(message) in (None, *DTMF_DIGITS)


NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@given(st.dictionaries(st.text(alphabet=st.characters(codec=None)), st.text(alphabet=st.characters(codec=None))))
def test_any_parameter_comes_back_from_the_xml(parameters):
    text = connect_twiml("wss://x.example/media/a", "https://x.example/webhook/stream_ended", parameters)
    root = ElementTree.fromstring(text.encode())
    found = [(each.get("name"), each.get("value")) for each in root.findall("Connect/Stream/Parameter")]
    assert found == [(NOT_XML.sub("\ufffd", name), NOT_XML.sub("\ufffd", value)) for name, value in parameters.items()]
    assert [child.tag for child in root.iter()] == [
        "Response",
        "Connect",
        "Stream",
        *["Parameter"] * len(parameters),
        "Hangup",
    ]


CALLS = [f"CA{number:032x}" for number in range(6)]
ACCOUNTS = [f"AC{number:032x}" for number in range(2)]
MAX_CALLS, MAX_PENDING, TOKEN_SECONDS = 3, 2, 30


class Admissions(RuleBasedStateMachine):
    """Webhooks, replays, guesses, streams and hang-ups in any order, less than an hour of them."""

    minted = Bundle("minted")
    live = Bundle("live")

    def __init__(self):
        super().__init__()
        self.now_ns = 0
        limits = {"max_calls": MAX_CALLS, "max_pending_calls": MAX_PENDING, "stream_token_seconds": TOKEN_SECONDS}
        self.directory = Directory(Settings.model_construct(**limits), lambda: self.now_ns)
        self.tokens = {}  # by call: the one token it may have for one stream
        self.owners = {}
        self.spent = set()

    @rule(target=minted, call=st.sampled_from(CALLS), account=st.sampled_from(ACCOUNTS))
    def webhook(self, call, account):
        occupied = self.directory.live + self.directory.pending
        answer = self.directory.admit(
            call, account, from_number="+1", to_number="+2", direction="inbound", parameters={}
        )
        if isinstance(answer, Refusal):
            assert answer.reason == "replay" or occupied >= min(MAX_CALLS, MAX_PENDING)
            assert answer.reason != "replay" or call in self.tokens or self.owners.get(call, account) != account
            return ("", call, account)
        assert isinstance(answer, Admission)
        assert self.tokens.setdefault(call, answer.token) == answer.token
        assert self.owners.setdefault(call, account) == account
        assert answer.token not in self.spent
        assert self.now_ns < answer.expires_ns <= self.now_ns + TOKEN_SECONDS * NS_PER_SECOND
        return (answer.token, call, account)

    @rule(target=live, mint=minted, wrong=st.sampled_from(["", "call", "account", "token"]))
    def start(self, mint, wrong):
        token, call, account = mint
        call = CALLS[CALLS.index(call) - 1] if wrong == "call" else call
        account = ACCOUNTS[ACCOUNTS.index(account) - 1] if wrong == "account" else account
        token = token[:-1] if wrong == "token" else token
        seen = self.directory.peek(token)
        admission = self.directory.redeem(token, call, account)
        if admission is None:
            assert seen is None or wrong in ("call", "account")
            return None
        assert not wrong
        assert token
        assert token not in self.spent
        assert self.now_ns < admission.expires_ns
        self.spent.add(token)
        assert self.directory.peek(token) is None
        running = SimpleNamespace(call_sid=call, end_reason="hangup")
        self.directory.add(running)
        return running

    @rule(call=consumes(live))
    def end(self, call):
        if call is not None:
            self.directory.remove(call)
            self.tokens.pop(call.call_sid, None)  # it may come again
            assert self.directory.get(call.call_sid) is None
            assert self.directory.ended_reason(call.call_sid) == "hangup"

    @rule(call=st.sampled_from(CALLS))
    def caller_hangs_up_early(self, call):
        before = self.directory.pending
        freed = self.directory.abandon(call)
        assert self.directory.pending == before - freed

    @rule(seconds=st.sampled_from([0, 1, 29, 30, 31]))
    def time_passes(self, seconds):
        self.now_ns += seconds * NS_PER_SECOND

    @invariant()
    def the_bounds_hold(self):
        assert self.directory.pending <= MAX_PENDING
        assert self.directory.live + self.directory.pending <= MAX_CALLS


TestAdmissions = Admissions.TestCase
