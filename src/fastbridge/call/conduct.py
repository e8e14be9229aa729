"""How a call is conducted beyond its audio: what its agent's author asked for, and what no caller should have to bear.

Joins the parts that each own one thing (look-up, tools, fillers, silence, keys, departure, hooks) and says for all of
them what the call's moment is: quiet or not, attentive or leaving. Decides nothing about audio. Whatever a user's
function does here, the lanes do not notice.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastbridge.agent.definition import E164, Agent
from fastbridge.agent.hooks import Hooks
from fastbridge.agent.lookup import Lookup
from fastbridge.agent.remote import Remote
from fastbridge.agent.tools import ToolRunner
from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.conversation import ToolCall, Turn
from fastbridge.base.end_reasons import EndReason
from fastbridge.base.languages import first_in
from fastbridge.call.dtmf import Keys, told
from fastbridge.call.hangup import Departure, Errand
from fastbridge.call.idle import Silence
from fastbridge.call.tool_filler import Filler, exactly
from fastbridge.call.transcripts import Said
from fastbridge.carrier.port import CarrierControl
from fastbridge.carrier.twilio.dialect import transfer_twiml
from fastbridge.config import CONVERSATION_SETTINGS, Settings
from fastbridge.errors import ConfigError
from fastbridge.observe import events

if TYPE_CHECKING:
    from fastbridge.call.call import Call

NOTICE_SECONDS = 30.0
"""A call that has lasted as long as it may is announced so long before its end."""
MAX_EARLY = 8
"""Messages to the model that wait for its session; one more drops the oldest."""
MAX_DTMF = 128

SAY_ONLY = {"tool_choice": "none"}
STILL_THERE = (
    "The caller has been silent for a while. In the language of the conversation, ask in one short sentence whether "
    "they are still there."
)
GOODBYE_SILENCE = (
    "The caller does not answer. In the language of the conversation, say in one short sentence that you are hanging "
    "up now, and that they may call again."
)
GOODBYE_NOISE = (
    "The line is too noisy to understand the caller. In the language of the conversation, say so in one short "
    "sentence, ask them to call again, and say goodbye."
)
GOODBYE = "The call ends now. In the language of the conversation, say goodbye in one short sentence."
TIME_LIMIT = (
    "This call must end in half a minute. In the language of the conversation, tell the caller so in one short "
    "sentence, and ask for what matters most."
)
NOT_LEFT = "(The caller interrupted, so the call goes on: nobody has hung up or transferred it.)"
NOT_TRANSFERRED = "(Connecting the caller failed: you are still on the line. Tell them so.)"


KEPT_FIELDS = frozenset({"dsp", "allowed_callers"})
"""What an agent that `on_call` makes cannot change any more: the lanes run, the caller is let in."""


class Conduct:
    """control: the carrier's API, None without credentials: then hanging up is ending the stream, behind which the
    carrier hangs up, and nobody can be transferred. lookup: one that began at the webhook."""

    def __init__(
        self,
        call: "Call",
        *,
        agent: Agent,
        control: CarrierControl | None,
        lookup: Lookup | None,
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
    ) -> None:
        clock = call.clock
        self.agent = agent
        self._remote = Remote(self)
        self.context = replace(call.context, agent=agent, control=self._remote, call_log=call.log)
        self._call = call
        self._control = control
        self._lookup = lookup or Lookup(agent, self.context, clock, spawn)
        self.context = replace(self.context, variables=self._lookup.context.variables)
        self._early: list[str] = []
        self._started = False
        self.tools = ToolRunner(
            agent=agent,
            context=self.context,
            clock=clock,
            spawn=spawn,
            answer=call.session.tool_result,
            proceed=self._proceed,
            overrun=lambda: call.answers.tool_loop(),
            report=self._on_tool_ended,
            late=call.aftermath.tool_ended,
        )
        self.hooks = Hooks(agent, self.context, clock, spawn)
        self.said = Said(call, lambda turn: self.hooks.emit("on_transcript", turn))
        self.filler = Filler(call.facts, say=lambda text: self._say("filler", text))
        self.silence = self._silence(clock)
        self.departure = Departure(self, call.facts, clock, spawn)
        self.keys = Keys(
            clock, end_key=agent.keys_end, pause_seconds=agent.keys_end_seconds, deliver=self._on_keys_gathered
        )
        self._notice = Deadline(clock, self._on_time_running_out)

    def _silence(self, clock: Clock) -> Silence:
        settings = self._call.settings
        return Silence(
            self._call.facts,
            clock,
            seconds=settings.silence_seconds,
            prompts=settings.silence_prompts,
            noise_seconds=settings.noise_seconds if settings.transcription_model else 0,
            prompt=self._on_silent,
            give_up=lambda: self._give_up(EndReason.SILENCE, GOODBYE_SILENCE, firm=False),
            give_up_noise=lambda: self._give_up(EndReason.LINE_NOISE, GOODBYE_NOISE, firm=True),
        )

    # --- the call's course ---

    def begin(self) -> None:
        """The stream has started: who answers is known now, or in a moment."""
        self._remote.begin()
        self._call.session.hold()
        self._lookup.wait(self._call.settings.lookup_ms / 1000, self._on_agent)
        if self._call.settings.max_call_seconds > NOTICE_SECONDS:
            self._notice.set(self._call.settings.max_call_seconds - NOTICE_SECONDS)

    def _on_agent(self, agent: Agent) -> None:
        agent = agent.in_language(self._call.settings.language)
        late = _too_late(agent, self.agent, self._call.settings)
        if late:
            why = f"{', '.join(late)}: settled when the stream starts, before on_call"
            events.settings_refused(self._call.log, why)
        self.agent = self.tools.agent = self.hooks.agent = agent
        self.context = self.tools.context = self.hooks.context = replace(self.context, agent=agent)
        self.filler.words = agent.filler
        self.keys.end_key, self.keys.pause_seconds = agent.keys_end, agent.keys_end_seconds
        settings = self._session_settings(agent)
        self._call.session.configure(agent, settings)
        self._call.ladder.use(agent.language)
        lock = settings.greeting_lock if agent.greeting_lock is None else agent.greeting_lock
        self._call.greeting.change(agent.greeting, lock=lock)

    def _session_settings(self, agent: Agent) -> Settings:
        """The call's, with what the agent that answers changes of them."""
        settings = agent.call_settings(self._call.settings)
        try:
            settings.require_session()
        except ConfigError as error:  # the node's start has checked all agents but those that `on_call` makes
            events.settings_refused(self._call.log, str(error))
            return self._call.settings
        return settings

    def ready(self) -> None:
        """The model listens: for the first time, or again after its connection was lost."""
        if not self._started:
            self._started = True
            self.hooks.emit("on_start", self.context)
        early, self._early = self._early, []
        for text in early:
            self.tell(text)

    def close(self) -> None:
        """The call is over; the lanes still know what was heard."""
        self._remote.close()
        self.said.close()
        self._lookup.close()
        self.tools.close()
        self.silence.close()
        self.departure.close()
        self.keys.close()
        self._notice.clear()

    def ended(self, record: Callable[[], dict[str, Any]]) -> None:
        """All is settled. record(): the call's document."""
        self.hooks.close(record)

    def end_reason(self, reason: str) -> str:
        """Why the call ends: whoever closes it while we leave, we left."""
        if self.departure.reason is not None and self.departure.errand is not None:
            self._log_departure(self.departure.errand)
        return self.departure.reason or reason

    # --- what is heard ---

    def speech_started(self) -> None:
        self.silence.speech_started()
        self.tools.turn_begins()
        if not self._call.assistant.playing:
            self.departure.interrupted()

    def speech_stopped(self) -> None:
        self.silence.speech_stopped()

    def interrupted(self) -> None:
        """The caller has interrupted the assistant."""
        self.silence.heard()
        self.departure.interrupted()
        self.said.review()

    def transcript(self, turn: Turn) -> None:
        """The model has written down a turn."""
        if turn.role == "caller" and (turn.text or turn.failed):
            self.silence.words()
        self.said.written_down(turn)

    # --- keys ---

    def key(self, digit: str) -> None:
        stats = self._call.stats
        if len(stats.dtmf) < MAX_DTMF:
            stats.dtmf += digit
        self.silence.words()
        self.keys.press(digit)

    def _on_keys_gathered(self, digits: str) -> None:
        if self.hooks.emit("on_dtmf", digits, self._on_keys_understood):
            return
        if self.agent.keys_to_model:
            self.tell(told(digits))

    def _on_keys_understood(self, result: object) -> None:
        if isinstance(result, str) and result:
            self.tell(result)

    def tell(self, text: str) -> None:
        """Something the caller did, in words, to which the model is to answer."""
        if not self._call.session.ready:
            self._early = [*self._early[1 - MAX_EARLY :], text]
            return
        self._call.interruption.on_keys()
        self.tools.turn_begins()
        self._call.session.note("user", text)
        self._call.session.responses.create("keys")

    # --- tools ---

    def tool_call(self, call: ToolCall, response_id: str) -> None:
        events.tool_call(self._call.log, call.name, call.arguments)
        self.tools.start(call, response_id)
        responses = self._call.session.responses
        if not responses.generating or response_id != responses.response_id:
            self.tools.response_done(response_id)  # it has ended already: no event will say so

    def tool_not_run(self, name: str, why: str) -> None:
        """A call that was broken off, or taken back with its response."""
        events.tool_not_run(self._call.log, name, why)
        self._call.stats.tool_calls.append({"name": name, "outcome": "broken_off", "elapsed_ms": 0})

    def _on_tool_ended(self, name: str, arguments: str, outcome: str, elapsed_ms: int, output: str) -> dict[str, Any]:
        if outcome == "abandoned":
            events.tool_abandoned(self._call.log, name, elapsed_ms)
        else:
            events.tool_result(self._call.log, name, outcome, elapsed_ms, output)
        entry: dict[str, Any] = {"name": name, "outcome": outcome, "elapsed_ms": elapsed_ms}
        self._call.stats.tool_calls.append(entry)
        return entry

    def _proceed(self, response_ids: set[str]) -> None:
        """The tools of these responses have their answers: let the model go on, if there is anything left to say."""
        responses = self._call.session.responses
        if not self.departure.asked:
            responses.create("tool_result", SAY_ONLY if self.tools.exhausted else None)
        elif not self._said_something(response_ids):
            responses.create("goodbye", {**SAY_ONLY, "instructions": first_in(self.agent.language, GOODBYE)})

    def _said_something(self, response_ids: set[str]) -> bool:
        """Beside its function calls."""
        turns = self._call.session.turns.values()
        voiced = {response_id for _, response_id, _, received_ms in self._call.assistant.items() if received_ms}
        return bool(voiced & response_ids) or any(turn.text for turn in turns if turn.response_id in response_ids)

    def _say(self, purpose: str, instructions: str, *, firm: bool = False) -> None:
        if self._call.session.ready:
            self._call.session.responses.create(purpose, {**SAY_ONLY, "instructions": instructions}, firm=firm)

    def _ask(self, purpose: str, instructions: str, *, firm: bool = False) -> None:
        """Have something said in the model's own words."""
        self._say(purpose, first_in(self.agent.language, instructions), firm=firm)

    # --- silence, and the longest call ---

    def _on_time_running_out(self) -> None:
        if self._call.facts.attentive:
            events.time_running_out(self._call.log)
            self._ask("time_limit", TIME_LIMIT)

    def _on_silent(self, number: int) -> None:
        self._call.stats.silences += 1
        events.caller_silent(self._call.log, number)
        self._ask("silence", STILL_THERE)

    def model_idle(self) -> None:
        """The model asks by itself whether anybody is there: that counts, and we need not."""
        self._call.stats.silences += 1
        events.model_asks(self._call.log)
        self.silence.model_asks()

    def _give_up(self, reason: EndReason, instructions: str, *, firm: bool) -> None:
        """firm: what is said now is said to the end, whatever is heard on the line; so it is not listened to."""
        call = self._call
        events.giving_up(call.log, reason)
        if firm:
            call.interruption.on_giving_up()
            call.caller.mute()
            call.answers.last_word()
        self._ask("goodbye", instructions, firm=firm)
        self.departure.ask(Errand("hang_up", reason, self._hang_up, firm=firm))

    # --- leaving ---

    def hang_up(self) -> None:
        """Of a tool, a hook or anybody: end the call when all was heard."""
        if self._call.live:
            self.departure.ask(Errand("hang_up", EndReason.AGENT_HANGUP, self._hang_up))

    def destination(self, wanted: str) -> str | None:
        """The number behind one of the agent's own destinations; None where nobody can be connected to it."""
        number = self.agent.destination(wanted)
        if number is None or self._control is None:
            why = "there is no such destination" if number is None else "there are no Twilio credentials"
            events.transfer_refused(self._call.log, why)
            return None
        return number

    def transfer(self, number: str) -> None:
        """Of a tool or hook: connect the caller to this `destination` when all was heard."""
        self.departure.ask(self._transfer_errand("transfer", number, self.agent.destination_name(number)))

    async def transfer_now(self, number: str) -> bool:
        """Of the node itself, with a number of its operator's: connect the caller, without the model's help. True when
        it is done, and the call over."""
        if E164.fullmatch(number) is None or self._control is None:
            return False
        try:
            return await self.departure.ask(self._transfer_errand("fallback", number, "fallback"))
        except asyncio.CancelledError:
            self.departure.abandon()
            raise

    def say(self, text: str) -> None:
        """Of a tool or hook: have the model say this."""
        self._say("say", exactly(text))

    def departed(self, errand: Errand) -> None:
        self._log_departure(errand)
        self._call.close(errand.reason)

    def _log_departure(self, errand: Errand) -> None:
        how = "by REST" if self._control is not None else "by the end of the stream"
        events.hangup(self._call.log, errand.name, how, reason=errand.reason, to=errand.to)

    def stayed(self, errand: Errand, why: str) -> None:
        events.hangup(self._call.log, errand.name, why, reason=errand.reason, to=errand.to)
        if errand.name == "fallback":
            return  # whoever asked knows what else to do
        if why == "interrupted":
            self.silence.resume()
            self._call.session.note("system", NOT_LEFT)
        elif errand.name == "hang_up":
            self._call.close(errand.reason)  # the stream ends, and the TwiML behind it hangs up
        elif errand.name == "transfer":
            self._call.session.note("system", NOT_TRANSFERRED)
            self._call.session.responses.create("transfer_failed", SAY_ONLY)

    @property
    def transferred_to(self) -> str | None:
        """By name, never by number; None where nobody has the call now."""
        errand = self.departure.errand
        return errand.to if errand is not None and self._call.end_reason == EndReason.TRANSFERRED else None

    def _transfer_errand(self, name: str, number: str, to: str) -> Errand:
        return Errand(name, EndReason.TRANSFERRED, lambda: self._redirect(transfer_twiml(number)), to=to)

    async def _hang_up(self) -> bool:
        if self._control is None:
            return True
        return await self._control.hang_up(self.context.account_sid, self.context.call_sid)

    async def _redirect(self, twiml: str) -> bool:
        if self._control is None:
            return False
        return await self._control.redirect(self.context.account_sid, self.context.call_sid, twiml)


def _too_late(found: Agent, answering: Agent, settings: Settings) -> list[str]:
    """What `found`, taking over a call from `answering`, would have otherwise, and what is settled by now."""
    fields = [name for name in sorted(KEPT_FIELDS) if getattr(found, name) != getattr(answering, name)]
    kept = [name for name in found.settings if name not in CONVERSATION_SETTINGS]
    return fields + [name for name in kept if getattr(settings, name) != found.settings[name]]
