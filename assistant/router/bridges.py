"""Short true remarks for the time until an answer comes: "Let me find out." They promise nothing and answer nothing."""

from typing import Final

from assistant.router.kinds import Kind

_WORDS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "en": {
        "think": ("Let me think about that.", "Hmm, let me think.", "Give me a moment to think."),
        "find": ("Let me look that up.", "I'll find out.", "Let me ask about that."),
        "look": ("Let me have a look.", "One moment, I'm looking.", "Let me see."),
        "wait": ("One moment.", "Just a second.", "Let me see."),
    },
    "de": {
        "think": ("Da muss ich kurz nachdenken.", "Lass mich überlegen.", "Einen Moment, ich denke nach."),
        "find": ("Das schaue ich nach.", "Ich finde es heraus.", "Da frage ich nach."),
        "look": ("Ich schaue mal.", "Moment, ich sehe nach.", "Mal sehen."),
        "wait": ("Einen Moment.", "Augenblick.", "Mal sehen."),
    },
    "fr": {
        "think": ("Laisse-moi réfléchir.", "Je réfléchis un instant.", "Hmm, voyons."),
        "find": ("Je cherche.", "Je vais me renseigner.", "Je demande."),
        "look": ("Je regarde.", "Un instant, je regarde.", "Voyons voir."),
        "wait": ("Un instant.", "Une seconde.", "Voyons."),
    },
    "es": {
        "think": ("Déjame pensarlo.", "Lo pienso un momento.", "A ver, pienso."),
        "find": ("Lo busco.", "Voy a averiguarlo.", "Voy a preguntar."),
        "look": ("Voy a mirar.", "Un momento, estoy mirando.", "A ver."),
        "wait": ("Un momento.", "Un segundo.", "A ver."),
    },
    "it": {
        "think": ("Fammi pensare.", "Ci penso un momento.", "Vediamo, ci penso."),
        "find": ("Lo cerco.", "Mi informo.", "Chiedo subito."),
        "look": ("Guardo subito.", "Un momento, sto guardando.", "Vediamo."),
        "wait": ("Un momento.", "Un secondo.", "Vediamo."),
    },
    "nl": {
        "think": ("Even nadenken.", "Laat me even denken.", "Daar denk ik even over na."),
        "find": ("Ik zoek het op.", "Dat vraag ik even na.", "Ik kom er zo op."),
        "look": ("Ik kijk even.", "Momentje, ik kijk.", "Even kijken."),
        "wait": ("Een moment.", "Een seconde.", "Even kijken."),
    },
    "pt": {
        "think": ("Deixa-me pensar.", "Vou pensar um momento.", "Ora, deixa-me ver."),
        "find": ("Vou procurar.", "Vou descobrir.", "Vou perguntar."),
        "look": ("Vou ver.", "Um momento, estou a ver.", "Deixa-me ver."),
        "wait": ("Um momento.", "Um segundo.", "Vamos ver."),
    },
}

_MANNER: Final[dict[Kind, str]] = {
    Kind.CHAT: "wait",
    Kind.FACT: "find",
    Kind.REASONING: "think",
    Kind.CODE: "think",
    Kind.CAMERA: "look",
    Kind.HOME: "wait",
    Kind.PERSONAL: "wait",
}


def bridge(kind: Kind, language: str | None, last: str) -> str | None:
    """Return what to say while the answer is awaited, other than `last`; None in a language that it doesn't know."""
    words = _WORDS.get((language or "en").split("-")[0].lower())
    if words is None:
        return None
    remarks = words[_MANNER[kind]]
    after = remarks.index(last) + 1 if last in remarks else 0
    return remarks[after % len(remarks)]
