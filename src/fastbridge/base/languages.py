"""What is known of languages: their names, what we say in them ourselves, and who at the carrier's can say it.

A language is a code such as `he` or `de-AT`; what is known is known of its first part. There are texts for those in
which there are recordings (`prompts/`); what is said in another is said in English. Imports nothing.
"""

from dataclasses import dataclass
from typing import Literal

Message = Literal["busy", "apology"]


@dataclass(frozen=True)
class Language:
    """name: in English, for the model. say_language, say_voice: of a `<Say>` that speaks it; empty: the default of the
    Twilio account. The rest is said to callers: all lines are busy, something failed, and the built-in agent's first
    words."""

    name: str
    say_language: str
    say_voice: str
    busy: str
    apology: str
    greeting: str

    def message(self, which: Message) -> str:
        return self.busy if which == "busy" else self.apology


FALLBACK = "en"
LANGUAGES = {
    "en": Language(
        name="English",
        say_language="",
        say_voice="",
        busy="All our lines are busy at the moment. Please call again in a few minutes.",
        apology="We are sorry, something went wrong on our side. Please call again in a few minutes.",
        greeting="Hello! How can I help you?",
    ),
    # For the others the voice is named, too: a language that the account's default voice does not speak is not said.
    "ar": Language(
        name="Arabic",
        say_language="ar-XA",
        say_voice="Google.ar-XA-Standard-A",
        busy="جميع خطوطنا مشغولة حاليًا. يرجى الاتصال مرة أخرى بعد بضع دقائق.",
        apology="نعتذر، حدث خطأ من جانبنا. يرجى الاتصال مرة أخرى بعد بضع دقائق.",
        greeting="مرحبًا! كيف يمكنني مساعدتك؟",
    ),
    "de": Language(
        name="German",
        say_language="de-DE",
        say_voice="Google.de-DE-Standard-A",
        busy="Alle unsere Leitungen sind gerade besetzt. Bitte rufen Sie in einigen Minuten wieder an.",
        apology="Es tut uns leid, bei uns ist ein Fehler aufgetreten. Bitte rufen Sie in einigen Minuten wieder an.",
        greeting="Hallo! Wie kann ich Ihnen helfen?",
    ),
    "es": Language(
        name="Spanish",
        say_language="es-ES",
        say_voice="Google.es-ES-Standard-A",
        busy="Todas nuestras líneas están ocupadas en este momento. Por favor, vuelva a llamar en unos minutos.",
        apology="Lo sentimos, algo ha fallado por nuestra parte. Por favor, vuelva a llamar en unos minutos.",
        greeting="¡Hola! ¿En qué puedo ayudarle?",
    ),
    "fr": Language(
        name="French",
        say_language="fr-FR",
        say_voice="Google.fr-FR-Standard-A",
        busy="Toutes nos lignes sont occupées pour le moment. Veuillez rappeler dans quelques minutes.",
        apology="Nous sommes désolés, un problème est survenu de notre côté. Veuillez rappeler dans quelques minutes.",
        greeting="Bonjour ! Comment puis-je vous aider ?",
    ),
    "he": Language(
        name="Hebrew",
        say_language="he-IL",
        say_voice="Google.he-IL-Standard-A",
        busy="כל הקווים שלנו תפוסים כרגע. אנא התקשרו שוב בעוד כמה דקות.",
        apology="אנו מתנצלים, אירעה אצלנו תקלה. אנא התקשרו שוב בעוד כמה דקות.",
        greeting="שלום! איך אפשר לעזור?",
    ),
}


_CODES = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el
en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu
iw ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my
na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn
so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
CODES = frozenset(_CODES.split())
"""Those of two letters: ISO 639-1, and `iw`, as Hebrew was called."""


def exists(language: str) -> bool:
    """Whether there is such a language, as far as its first part tells. Of three letters all are taken for one."""
    return language == "" or len(short(language)) == 3 or short(language) in CODES


def code(name: str) -> str:
    """The code of a language by its English name; empty for one that we do not know."""
    return next((code for code, known in LANGUAGES.items() if known.name.lower() == name.strip().lower()), "")


def short(language: str) -> str:
    """Its first part, in small letters: `de` for `de-AT`, `he` for `he_IL`; empty where there is none."""
    first = language.replace("_", "-").partition("-")[0].lower()
    return first if first.isascii() and first.isalpha() else ""


def same(one: str, other: str) -> bool:
    """Whether two codes are of one language, wherever it is spoken."""
    return short(one) == short(other)


def known(language: str) -> Language | None:
    return LANGUAGES.get(short(language))


def name(language: str) -> str:
    """As a model understands it: a name, or else the code."""
    found = known(language)
    return found.name if found is not None else language


def first_in(language: str, instructions: str) -> str:
    """Instructions that ask for "the language of the conversation", for a conversation that may not have had a word
    yet. language: of its agent; empty for none."""
    if not language:
        return instructions
    of_the_conversation = "the language of the conversation"
    return instructions.replace(of_the_conversation, f"{of_the_conversation} ({name(language)}, if it has had none)")
