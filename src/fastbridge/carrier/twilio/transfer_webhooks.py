"""The webhooks of warm transfers: what the human hears and answers, how his call goes, and where the caller is led.

A leg that is not known is over: whoever asks for it hears a goodbye. What is asked twice is answered twice, alike.
"""

from typing import Protocol

from starlette.responses import Response

from fastbridge.base.transfer_words import is_yes
from fastbridge.carrier.admission import TERMINAL_STATUSES
from fastbridge.carrier.port import LEG_OVER
from fastbridge.carrier.twilio.messages import ANSWERED_BY
from fastbridge.carrier.twilio.transfers import Phrases, TwilioLeg, TwilioTransfers
from fastbridge.carrier.twilio.twiml import conference_twiml, hangup_twiml
from fastbridge.carrier.twilio.webhook import XML, Webhook
from fastbridge.config import Settings

MACHINES = ("machine", "fax")


class Node(Protocol):
    """What they need of the node."""

    @property
    def settings(self) -> Settings: ...
    @property
    def transfers(self) -> TwilioTransfers | None:
        """None where nobody can be transferred."""


class TransferDesk:
    """Does what these webhooks ask."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._phrases = Phrases(node.settings)

    def answer(self, webhook: Webhook) -> Response:
        """Somebody has answered, and waits to hear why he is called."""
        leg = self._leg(webhook)
        if leg is None:
            return self._goodbye(None, "gone")
        leg.hands += 1
        try:
            leg.answered = True
            leg.learn(webhook.call_sid)
            wanted = leg.listener.answered()
        finally:
            leg.hands -= 1
        return self._question(leg) if wanted else self._goodbye(leg, "gone")

    async def key(self, webhook: Webhook) -> Response:
        """He has pressed a key, or said something."""
        leg = self._leg(webhook)
        if leg is None:
            return self._goodbye(None, "gone")
        yes = is_yes(leg.terms.language, webhook.params.get("Digits", ""), webhook.params.get("SpeechResult", ""))
        if yes is None:
            return self.answer(webhook)
        leg.hands += 1
        try:
            if not yes:
                leg.listener.declined("declined")
                return self._goodbye(leg, "thanks")
            accepted = await leg.listener.accepted()
        finally:
            leg.hands -= 1
        return _twiml(self._phrases.together(leg.terms, leg.conference)) if accepted else self._goodbye(leg, "failed")

    def status(self, webhook: Webhook) -> Response:
        """How his call goes; and, of the detection of machines, who has answered."""
        leg = self._leg(webhook)
        if leg is not None:
            leg.learn(webhook.call_sid)
            state = webhook.params.get("CallStatus", "")
            found = ANSWERED_BY.get(webhook.params.get("AnsweredBy", ""))
            if state in TERMINAL_STATUSES:
                leg.is_over()
                leg.listener.ended(LEG_OVER[state])
            elif found in MACHINES:
                leg.listener.declined("machine")
        return Response(status_code=204)

    def join(self, webhook: Webhook) -> Response:
        """The caller has been led away from his stream."""
        leg = self._leg(webhook)
        if leg is None or not leg.listener.joined():
            return _twiml(self._phrases.excuse(leg.terms if leg is not None else None))
        return _twiml(conference_twiml(leg.conference, action_url=leg.url("over")))

    def over(self, webhook: Webhook) -> Response:
        """The caller is alone again. A leg that is not known any more has been a conversation for long."""
        leg = self._leg(webhook)
        if leg is None or leg.listener.parted():
            return _twiml(hangup_twiml())
        return _twiml(self._phrases.excuse(leg.terms))

    def failed(self) -> Response:
        """Of our own code's failure: whoever it is, he hears a goodbye."""
        return _twiml(self._phrases.excuse(None))

    def _leg(self, webhook: Webhook) -> TwilioLeg | None:
        """By its key, and of the caller whom that was made for."""
        transfers = self._node.transfers
        leg = transfers.leg(webhook.own.get("transfer", "")) if transfers is not None else None
        return leg if leg is not None and leg.terms.call_sid == webhook.own.get("call") else None

    def _question(self, leg: TwilioLeg) -> Response:
        return _twiml(self._phrases.question(leg.terms, leg.url("key")))

    def _goodbye(self, leg: TwilioLeg | None, which: str) -> Response:
        return _twiml(self._phrases.farewell(leg.terms if leg is not None else None, which))


def _twiml(text: str) -> Response:
    return Response(text, media_type=XML)
