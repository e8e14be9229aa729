"""The account and its numbers, whose webhooks can be set. Source: Twilio, "IncomingPhoneNumber resource"."""

from collections.abc import Sequence

from fastbridge.sim.twilio_http import Request
from fastbridge.sim.twilio_reply import INVALID_WEBHOOK, Reply, bad, not_found

WEBHOOKS = {
    "VoiceUrl": "voice_url",
    "VoiceMethod": "voice_method",
    "VoiceApplicationSid": "voice_application_sid",
    "StatusCallback": "status_callback",
    "StatusCallbackMethod": "status_callback_method",
}
"""What may be set of a number, and how it is called in answers."""


class Numbers:
    """numbers: as Twilio's answers show them (`sid`, `phone_number`, `voice_url` …)."""

    def __init__(self, numbers: Sequence[dict[str, str]]) -> None:
        self.numbers = [dict(number) for number in numbers]

    def has(self, number: str) -> bool:
        """Whether calls may come from it: any may, where no number is known."""
        return not self.numbers or any(known["phone_number"] == number for known in self.numbers)

    def account(self, request: Request, account_sid: str) -> Reply:
        return Reply(200, {"sid": account_sid, "status": "active"})

    def listed(self, request: Request, account_sid: str) -> Reply:
        wanted = request.query.get("PhoneNumber")
        listed = [number for number in self.numbers if wanted is None or number["phone_number"] in wanted]
        return Reply(200, {"incoming_phone_numbers": listed, "page_size": 50})

    def update(self, request: Request, account_sid: str, sid: str) -> Reply:
        number = next((number for number in self.numbers if number["sid"] == sid), None)
        form = request.fields()
        if number is None:
            raise not_found(request.path)
        for name, value in form.items():
            if name not in WEBHOOKS or (name.endswith("Method") and value not in ("GET", "POST")):
                raise bad(INVALID_WEBHOOK, f"Invalid {name}")
            if name in ("VoiceUrl", "StatusCallback") and not value.startswith(("http://", "https://")):
                raise bad(INVALID_WEBHOOK, f"Invalid {name}")
        number |= {WEBHOOKS[name]: value for name, value in form.items()}
        return Reply(200, dict(number))
