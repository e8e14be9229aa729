"""What the node asks the model to say or to know: in words, whatever dialect carries them."""

TAIL_CHARS = 160

REPEAT = (
    "Your connection to the phone call was lost for a moment while the caller was speaking, and their words are lost. "
    "In the language of the conversation, say in one short sentence that you did not hear them, and ask them to repeat "
    "it."
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
TIME_LIMIT = (
    "This call must end in half a minute. In the language of the conversation, tell the caller so in one short "
    "sentence, and ask for what matters most."
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
NOT_LEFT = "(The caller interrupted, so the call goes on: nobody has hung up or transferred it.)"
NOT_TRANSFERRED = "(Connecting the caller failed: you are still on the line. Tell them so.)"


def continuation(heard: str) -> str:
    """What to say after the connection was lost mid-answer. `heard`: what the caller has heard of it, in words."""
    told = f' The caller has heard you say, last: "{heard[-TAIL_CHARS:]}"' if heard else ""
    return (
        "Your connection to the phone call was lost for a moment while you were speaking."
        f"{told} Go on from exactly there, in the same language, and finish what you were saying. Repeat nothing, do "
        "not greet, and do not mention the interruption."
    )
