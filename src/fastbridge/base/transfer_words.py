"""What a human hears who is called for a caller, by language: beside the brief, which is the agent's own.

A language without texts here is spoken to in English, around a brief in its own. Imports nothing but the languages.
"""

from dataclasses import dataclass

from fastbridge.base.languages import FALLBACK, known, short


@dataclass(frozen=True)
class TransferWords:
    """introduction: before the brief. choice: how to say yes and no. thanks: after a no. gone: nobody waits any more.
    failed: he said yes, and the caller could not be led to him. over: the caller has hung up. hear: the code of the
    language for the carrier's recognition of speech. yes, no: words that are taken for an answer."""

    introduction: str
    choice: str
    thanks: str
    gone: str
    failed: str
    over: str
    hear: str
    yes: frozenset[str]
    no: frozenset[str]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


WORDS = {
    "en": TransferWords(
        introduction="Hello. A caller is waiting to be connected to you.",
        choice="To take the call, press 1, or say yes. To decline, press 2, or say no.",
        thanks="Thank you. Goodbye.",
        gone="The caller is not waiting any more. Goodbye.",
        failed="The caller could not be connected. Goodbye.",
        over="The caller has hung up. Goodbye.",
        hear="en-US",
        yes=_words("yes yeah yep sure okay ok accept take one 1"),
        no=_words("no nope not decline reject two 2"),
    ),
    "ar": TransferWords(
        introduction="مرحبًا. هناك متصل ينتظر تحويله إليك.",
        choice="لقبول المكالمة اضغط 1 أو قل نعم. للرفض اضغط 2 أو قل لا.",
        thanks="شكرًا. مع السلامة.",
        gone="لم يعد المتصل ينتظر. مع السلامة.",
        failed="تعذر توصيل المتصل. مع السلامة.",
        over="أنهى المتصل المكالمة. مع السلامة.",
        hear="ar-EG",
        yes=_words("نعم أجل ايوه أيوه تمام موافق واحد 1"),
        no=_words("لا كلا اثنان 2"),
    ),
    "de": TransferWords(
        introduction="Guten Tag. Ein Anrufer wartet darauf, mit Ihnen verbunden zu werden.",
        choice="Um den Anruf anzunehmen, drücken Sie die 1 oder sagen Sie ja. Um abzulehnen, drücken Sie die 2 oder "
        "sagen Sie nein.",
        thanks="Danke. Auf Wiederhören.",
        gone="Der Anrufer wartet nicht mehr. Auf Wiederhören.",
        failed="Der Anrufer konnte nicht verbunden werden. Auf Wiederhören.",
        over="Der Anrufer hat aufgelegt. Auf Wiederhören.",
        hear="de-DE",
        yes=_words("ja jawohl klar gerne okay ok eins 1"),
        no=_words("nein nicht nee zwei 2"),
    ),
    "es": TransferWords(
        introduction="Hola. Una persona espera ser comunicada con usted.",
        choice="Para aceptar la llamada, pulse 1 o diga sí. Para rechazarla, pulse 2 o diga no.",
        thanks="Gracias. Adiós.",
        gone="La persona ya no está esperando. Adiós.",
        failed="No se ha podido conectar la llamada. Adiós.",
        over="La persona ha colgado. Adiós.",
        hear="es-ES",
        yes=_words("sí si claro vale acepto uno 1"),
        no=_words("no rechazo dos 2"),
    ),
    "fr": TransferWords(
        introduction="Bonjour. Une personne attend d'être mise en relation avec vous.",
        choice="Pour prendre l'appel, appuyez sur 1 ou dites oui. Pour le refuser, appuyez sur 2 ou dites non.",
        thanks="Merci. Au revoir.",
        gone="La personne n'attend plus. Au revoir.",
        failed="L'appel n'a pas pu être mis en relation. Au revoir.",
        over="La personne a raccroché. Au revoir.",
        hear="fr-FR",
        yes=_words("oui ouais accord volontiers un 1"),
        no=_words("non pas deux 2"),
    ),
    "he": TransferWords(
        introduction="שלום. מתקשר ממתין להעברה אליכם.",
        choice="לקבלת השיחה הקישו 1 או אמרו כן. לדחייה הקישו 2 או אמרו לא.",
        thanks="תודה. להתראות.",
        gone="המתקשר כבר אינו ממתין. להתראות.",
        failed="לא ניתן היה לחבר את המתקשר. להתראות.",
        over="המתקשר ניתק. להתראות.",
        hear="he-IL",
        yes=_words("כן בטח בסדר אוקיי אחת 1"),
        no=_words("לא שתיים 2"),
    ),
}


def spoken_in(language: str) -> str:
    """The language of the words for one: its own, or English."""
    return language if known(language) is not None and short(language) in WORDS else FALLBACK


def words_in(language: str) -> TransferWords:
    return WORDS[short(spoken_in(language))]


def is_yes(language: str, digits: str, speech: str) -> bool | None:
    """What was answered, by keys or by voice; None for neither yes nor no. A no among other words is a no: nobody is
    connected whom one may have misunderstood."""
    if digits:
        return {"1": True, "2": False}.get(digits)
    words = words_in(language)
    said = {"".join(letter for letter in word if letter.isalnum()) for word in speech.lower().split()}
    if said & words.no:
        return False
    return True if said & words.yes else None
