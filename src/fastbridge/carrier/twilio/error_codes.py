"""Twilio's error codes, each in one sentence that says what to do. Source: Twilio's "Error and warning dictionary"."""

SENTENCES = {
    10001: "The account is not active: see its status in Twilio's console.",
    10004: "The account has as many calls at once as it may: place fewer, or ask Twilio for more.",
    13223: "The number is malformed: write it as + and 7 to 15 digits.",
    13224: "The number is invalid or out of service: check it.",
    13225: "Twilio blocks calls to this number: ask Twilio's support why.",
    13226: "The country of the number is not one that can be called.",
    13227: "Calls to this number's country are not permitted: allow it in the console, Voice, Geographic permissions.",
    20003: "Twilio does not take the credentials: check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN.",
    20404: "There is no such call, or none any more.",
    20429: "Too many requests: place fewer calls a second.",
    21201: "There is no number to call: give one.",
    21203: "Calls to this number's country are not permitted: allow it in the console, Voice, Geographic permissions.",
    21205: "Twilio does not take the address of our webhook: PUBLIC_URL must be one that Twilio reaches.",
    21210: "The number to call from is not verified: use one of the account's, as TWILIO_PHONE_NUMBER or `from`.",
    21211: "The number to call is no valid telephone number: check it.",
    21212: "The number to call from is no valid telephone number: check TWILIO_PHONE_NUMBER or `from`.",
    21213: "There is no number to call from: set TWILIO_PHONE_NUMBER, or give `from`.",
    21214: "The number to call cannot be reached from this account: check it.",
    21215: "Calls to this number's country are not permitted: allow it in the console, Voice, Geographic permissions.",
    21216: "The account may not call this number: ask Twilio's support.",
    21217: "The number to call does not look like a telephone number: check it.",
    21219: "A trial account calls verified numbers only: verify this one in the console, or upgrade the account.",
    21220: "The call is not in progress any more.",
    21223: "The number to call must not be empty.",
    21227: "The call from this number to that one is not permitted.",
    21262: "The number to call from is not verified: use one of the account's, as TWILIO_PHONE_NUMBER or `from`.",
}


def explained(code: str) -> str | None:
    """What the code of a callback says; None where that is nothing we know."""
    return SENTENCES.get(int(code)) if code.isascii() and code.isdigit() and len(code) < 7 else None


def sentence(code: int | None, status: int) -> str:
    """What it says, or that it says nothing we know. status: of HTTP."""
    known = SENTENCES.get(code) if code is not None else None
    if known is not None:
        return known
    if code is None:
        return f"Twilio refused the call with HTTP {status}."
    return f"Twilio refused the call: see https://www.twilio.com/docs/errors/{code}."
