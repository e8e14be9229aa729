"""What the node asks the model to say or to know: in words, whatever dialect carries them."""

TAIL_CHARS = 160

REPEAT = (
    "Your connection to the phone call was lost for a moment while the caller was speaking, and their words are lost. "
    "In the language of the conversation, say in one short sentence that you did not hear them, and ask them to repeat "
    "it."
)
CUT_OFF = (
    "Your connection to the phone call was lost for a moment while the caller was speaking, and the end of what they "
    "said may be lost. If what you know of it makes sense by itself, answer it now, aloud, in one or two short "
    "sentences. Else say in one short sentence that you lost the end of it, and ask them to repeat it."
)
REPROMPT = "Your last answer was silent. Answer the caller now, aloud, in one or two short sentences."
FILTERED = (
    "Your last answer was stopped by a content filter. In the language of the conversation, say in one short sentence "
    "that you cannot help with that, and ask what else you can do."
)
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
PUT_THROUGH = (
    "The caller is being put through now. In the language of the conversation, tell them so in one short sentence. Do "
    "not say goodbye."
)
TIME_LIMIT = (
    "This call must end in half a minute. In the language of the conversation, tell the caller so in one short "
    "sentence, and ask for what matters most."
)
BUDGET_NEAR = "(This call must end soon. From now on answer in one short sentence, and settle what matters most first.)"
PRIVATE = (
    "(The caller now gives something private to the system, by the keys of the telephone. You hear nothing of it, and "
    "need not. Wait, and say nothing of your own until you are told that it is over.)"
)
PRIVATE_OVER = "(It is over: you hear the caller again.)"
_ASK_CONSENT = (
    "This call is recorded only if the caller agrees. Early in the conversation say that you would like to record it, "
    "and ask whether they agree. If they clearly do, {record}, once. If they do not, or do not answer, do not do that, "
    "do not ask again, and go on as usual."
)
ASK_CONSENT = _ASK_CONSENT.format(record="use the tool record_call")
ASK_CONSENT_WITHOUT_HANDS = _ASK_CONSENT.format(record="delegate that the call be recorded")
"""For a voice whose tools are another model's."""
HOLD_THE_LINE = (
    "Somebody is being called for the caller. In the language of the conversation, ask them in one short sentence to "
    "hold the line, and say nothing else."
)
MACHINE_ANSWERED = (
    "(This call out was answered by an answering machine, not by a person. Its greeting and a beep come first; only "
    "what is said behind the beep is recorded. Nobody answers you.)"
)
FAX_ANSWERED = "(This call out was answered by a fax machine: nobody hears you.)"
MESSAGE_LEFT = "(Now you leave your message on it, and then the call ends.)"
PERSON_AFTER_ALL = (
    "(A person is on the line after all, and no answering machine: go on with them, and tell them in short why you "
    "call.)"
)
WORDS_LOST = "(Here the caller said something, and their words are lost: you do not know them. Do not guess.)"
NOT_LEFT = "(The caller interrupted, so the call goes on: nobody has hung up or transferred it.)"
NOT_TRANSFERRED = "(Connecting the caller failed: you are still on the line. Tell them so.)"

_NOT_TAKEN = {
    "declined": "did not take the call",
    "busy": "is on another call",
    "no_answer": "did not answer",
    "machine": "could not be reached: a machine answered",
}


def not_taken(to: str, outcome: str) -> str:
    """Whoever was called for the caller is not to be had. to: by name."""
    who, why = to or "The person you called", _NOT_TAKEN.get(outcome, "could not be reached")
    return f"({who} {why}: the caller has waited, and is with you again. Tell them so now, and what else you can do.)"


def continuation(heard: str, *, question_lost: bool = False) -> str:
    """What to say after the connection was lost mid-answer. `heard`: what the caller has heard of it, in words.
    question_lost: what the caller had said is not known to whoever goes on."""
    told = f' The caller has heard you say, last: "{heard[-TAIL_CHARS:]}"' if heard else ""
    if question_lost:
        return (
            "Your connection to the phone call was lost for a moment while you were answering the caller, and the "
            f"words that you were answering are lost.{told} Go on from exactly there, in the same language, but only "
            "as far as you can without guessing what the caller had said. Then say in one short sentence that you "
            "lost their last words, and ask them to repeat them. Repeat nothing, and do not greet."
        )
    return (
        "Your connection to the phone call was lost for a moment while you were speaking."
        f"{told} Go on from exactly there, in the same language, and finish what you were saying. Repeat nothing, do "
        "not greet, and do not mention the interruption."
    )
