"""Wishes about who should answer, said aloud: "use the big brain for this", "keep this between us"."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pipeline.engines import ChatMessage

_BIG: Final = (
    # en
    r"(?:use|ask|take|try|with)\s+(?:the|your)\s+(?:big(?:ger|gest)?|large[rst]*|smart(?:er|est)?|clever(?:er|est)?|expert)"
    r"\s+(?:brain|model|one|ai)(?:\s+(?:for|on|with)\s+(?:this|that|it)(?:\s+(?:one|question))?)?",
    r"(?:ask|use)\s+(?:the|an|your)\s+expert(?:\s+(?:for|about|on)\s+(?:this|that|it))?",
    # de
    r"(?:nimm|nutze?|benutze?|frage?|verwende)\s+(?:dafür\s+|hierfür\s+|dazu\s+|mal\s+)?(?:das|dein|den|deinen)\s+"
    r"(?:gro(?:ß|ss)e[ns]?|größere[ns]?|kluge[ns]?)\s+(?:gehirn|hirn|modell)(?:\s+(?:dafür|hierfür|dazu))?",
    # fr
    r"(?:utilise|prends|demande\s+[àa])\s+(?:le|ton|au)\s+(?:grand|gros)\s+(?:cerveau|mod[èe]le)(?:\s+pour\s+(?:ça|cela))?",
    # es
    r"(?:usa|utiliza|pregunta\s+al?)\s+(?:el\s+|tu\s+)?(?:cerebro|modelo)\s+grande(?:\s+para\s+(?:esto|eso))?",
    # it
    r"(?:usa|chiedi\s+al)\s+(?:il\s+)?(?:cervello|modello)\s+grande(?:\s+per\s+(?:questo|questa))?",
    # nl
    r"(?:gebruik|vraag)\s+(?:hiervoor\s+|hier\s+)?(?:het|je)\s+grote\s+(?:brein|model)(?:\s+hiervoor)?",
    # pt
    r"(?:usa|use|pergunta\s+ao)\s+(?:o\s+)?(?:cérebro|modelo)\s+grande(?:\s+para\s+(?:isto|isso))?",
)
_PRIVATE: Final = (
    # en
    r"(?:keep|let's\s+keep)\s+(?:this|that|it|all\s+(?:of\s+)?this)\s+(?:strictly\s+|just\s+)?between\s+"
    r"(?:us|you\s+and\s+me|ourselves)",
    r"(?:this|that|it)\s+(?:stays|is|must\s+stay|has\s+to\s+stay|should\s+stay|remains)\s+(?:strictly\s+|just\s+)?between\s+"
    r"(?:us|you\s+and\s+me)",
    r"(?:this\s+is\s+|that's\s+)?(?:just|strictly|only)\s+between\s+(?:us|you\s+and\s+me)",
    r"(?:(?:this\s+is\s+)|(?:that's\s+))?off\s+the\s+record",
    r"keep\s+(?:this|that|it)\s+(?:private|to\s+yourself|confidential|on\s+(?:this|the|my)\s+(?:device|machine|computer))",
    r"(?:do\s+not|don't|never)\s+(?:send|tell|share)\s+(?:this|that|it|any\s+of\s+this)\s+(?:to\s+)?"
    r"(?:anyone|anybody|anywhere|the\s+cloud|others)(?:\s+else)?",
    # de
    r"(?:das|dies|es)\s+(?:bleibt|muss)\s+(?:bitte\s+)?unter\s+uns(?:\s+bleiben)?|behalte?\s+(?:das|es)\s+(?:bitte\s+)?für\s+dich",
    r"unter\s+uns\s+gesagt",
    # fr
    r"(?:garde\s+[çc]a|que\s+[çc]a\s+reste|[çc]a\s+reste|cela\s+reste)\s+(?:entre\s+nous|pour\s+toi)",
    # es
    r"(?:que\s+)?(?:esto|eso)\s+(?:queda|quede|se\s+queda)\s+entre\s+nosotros|guárdalo\s+entre\s+nosotros",
    # it
    r"(?:che\s+)?(?:questo|questa\s+cosa)\s+(?:resta|resti|rimane|rimanga)\s+(?:tra|fra)\s+(?:di\s+)?noi",
    # nl
    r"(?:hou(?:d)?\s+dit|dit\s+blijft)\s+(?:tussen|onder)\s+ons",
    # pt
    r"(?:que\s+)?(?:isto|isso)\s+(?:fica|fique)\s+entre\s+n[óo]s",
)
_OPEN: Final = (
    # en
    r"(?:this|that|it|the\s+rest)\s+(?:does\s+not|doesn't|no\s+longer|needn't)\s+(?:need(?:s)?\s+to\s+|ha(?:s|ve)\s+to\s+)?"
    r"(?:stay|be|remain)\s+(?:between\s+us|private|confidential)(?:\s+(?:any\s*more|any\s+longer))?",
    r"(?:this|that|it)(?:\s+is|'s)\s+(?:no\s+longer|not)\s+(?:private|confidential|between\s+us)(?:\s+(?:any\s*more))?",
    r"(?:do\s+not|don't|stop)\s+keep(?:ing)?\s+(?:this|that|it)\s+(?:between\s+us|private|to\s+yourself)(?:\s+any\s*more)?",
    r"you\s+(?:can|may)\s+(?:use|ask)\s+(?:the\s+)?(?:cloud|others|other\s+models|big\s+brain)\s+again",
    r"(?:that\s+was\s+all\s+that\s+was\s+private|back\s+on\s+the\s+record|end\s+of\s+(?:the\s+)?private\s+part)",
    # de
    r"(?:das|es)\s+muss\s+nicht\s+mehr\s+unter\s+uns\s+bleiben|du\s+darfst\s+(?:wieder\s+)?die\s+cloud\s+(?:wieder\s+)?(?:fragen|benutzen|nutzen)",
    # fr
    r"(?:[çc]a|cela)\s+n'a\s+plus\s+besoin\s+de\s+rester\s+entre\s+nous|tu\s+peux\s+(?:de\s+nouveau\s+)?utiliser\s+le\s+cloud",
    # es
    r"(?:esto|eso)\s+ya\s+no\s+tiene\s+que\s+quedar\s+entre\s+nosotros|puedes\s+usar\s+la\s+nube\s+otra\s+vez",
    # it
    r"non\s+deve\s+più\s+(?:restare|rimanere)\s+(?:tra|fra)\s+(?:di\s+)?noi|puoi\s+usare\s+di\s+nuovo\s+il\s+cloud",
    # nl
    r"(?:dit|het)\s+hoeft\s+niet\s+meer\s+(?:tussen|onder)\s+ons\s+te\s+blijven|je\s+mag\s+de\s+cloud\s+weer\s+gebruiken",
    # pt
    r"(?:isto|isso)\s+já\s+não\s+precisa\s+de\s+ficar\s+entre\s+n[óo]s|podes?\s+usar\s+a\s+nuvem\s+outra\s+vez",
)
_FILLERS: Final = (
    r"please|parley|hey|ok|okay|alright|well|so|now|then|and|but|for|this|that|thanks|thank|you|can|could|would|question|next|"
    r"one|from|on|again|i|want|to|the|a|let|us|me|bitte|also|jetzt|ab|und|danke|nun|mal|s'il|te|plaît|maintenant|et|merci|"
    r"por|favor|ahora|y|gracias|per|favore|adesso|ora|e|grazie|alsjeblieft|nu|en|bedankt|agora|obrigad[oa]|alles|tout|todo"
)
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_FILLER: Final = re.compile(rf"(?:{_FILLERS})", re.IGNORECASE)


def _any(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(rf"(?<!\w)(?:{pattern})(?!\w)" for pattern in patterns), re.IGNORECASE)


_PATTERNS: Final = {"open": _any(_OPEN), "private": _any(_PRIVATE), "big": _any(_BIG)}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a message wants of who answers."""

    big: bool = False
    """The best model that may be asked, for this turn."""
    private: bool | None = None
    """True: from here on nothing leaves this machine; False: that is taken back; None: it says nothing of it."""
    whole: bool = False
    """It says nothing else: what it wants is for the next turn, too."""


NO_WISH: Final = Wish()


@lru_cache(maxsize=512)
def wish(text: str) -> Wish:
    """Return what a user's message wants; NO_WISH for nearly all."""
    plain = text.replace("’", "'")
    rest, found = plain, set[str]()
    for name, pattern in _PATTERNS.items():
        # Taking back is looked for first, and its words are gone then: "don't keep this between us" is no wish to.
        rest, count = pattern.subn(" . ", rest)
        if count:
            found.add(name)
    if not found:
        return NO_WISH
    private = False if "open" in found else True if "private" in found else None
    whole = all(_FILLER.fullmatch(word) for word in _WORD.findall(rest))
    return Wish("big" in found, private, whole)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What holds for a turn."""

    big: bool
    private: bool
    only: Wish | None
    """The wish, where the last message says nothing else."""


def wishes(messages: Iterable[ChatMessage], *, private: bool) -> Wishes:
    """Return what holds for the last message; `private`: whether the conversation was so, as far as it is known.

    The messages themselves say what holds: so a wish is in force as soon as it is said, before anything is sure, and
    holds in a conversation that is resumed.
    """
    said = [wish(message.content) for message in messages if message.role == "user"]
    for each in said:
        private = private if each.private is None else each.private
    last = said[-1] if said else NO_WISH
    before = said[-2] if len(said) > 1 else NO_WISH
    only = last if last.whole else None
    return Wishes(last.big or (before.big and before.whole), private, only)


_SAID: Final = {
    "private": {
        "en": "All right, this stays between us. Nothing more leaves this machine.",
        "de": "Gut, das bleibt unter uns. Nichts mehr verlässt diesen Rechner.",
        "fr": "D'accord, cela reste entre nous. Plus rien ne quitte cette machine.",
        "es": "De acuerdo, esto queda entre nosotros. Nada más sale de esta máquina.",
        "it": "Va bene, questo resta tra noi. Nient'altro lascia questa macchina.",
        "nl": "Goed, dit blijft tussen ons. Er verlaat niets meer deze machine.",
        "pt": "Está bem, isto fica entre nós. Nada mais sai desta máquina.",
    },
    "open": {
        "en": "All right, I may ask others again.",
        "de": "Gut, ich darf wieder andere fragen.",
        "fr": "D'accord, je peux de nouveau interroger d'autres modèles.",
        "es": "De acuerdo, puedo volver a preguntar a otros.",
        "it": "Va bene, posso di nuovo chiedere ad altri.",
        "nl": "Goed, ik mag weer anderen vragen.",
        "pt": "Está bem, posso voltar a perguntar a outros.",
    },
    "big": {
        "en": "All right. What's the question?",
        "de": "Gut. Wie lautet die Frage?",
        "fr": "D'accord. Quelle est la question ?",
        "es": "De acuerdo. ¿Cuál es la pregunta?",
        "it": "Va bene. Qual è la domanda?",
        "nl": "Goed. Wat is de vraag?",
        "pt": "Está bem. Qual é a pergunta?",
    },
}


def acknowledgement(only: Wish, language: str | None) -> str:
    """Return what is said to a message that is nothing but a wish."""
    name = "big" if only.private is None else "private" if only.private else "open"
    return _SAID[name].get(language or "en", _SAID[name]["en"])
