"""What a person is told once, and not in every turn: that this machine is on its own, that a budget is used up."""

from enum import StrEnum
from typing import Final


class Notice(StrEnum):
    """What there is to tell."""

    OFFLINE = "offline"
    """A better model would have answered; none can be reached."""
    UNRECORDED = "unrecorded"
    """A better model would have answered; the ledger can't be written, and nothing leaves without an entry."""
    BUDGET = "budget"
    """A better model would have answered; it would cost too much."""
    BLIND = "blind"
    """Nobody who may be asked can look at pictures."""


_WORDS: Final[dict[Notice, dict[str, str]]] = {
    Notice.OFFLINE: {
        "en": "I'm offline right now, so this answer is my own.",
        "de": "Ich bin gerade offline, also antworte ich selbst.",
        "fr": "Je suis hors ligne, alors je réponds moi-même.",
        "es": "Ahora no tengo conexión, así que respondo yo.",
        "it": "Ora sono offline, quindi rispondo da solo.",
        "nl": "Ik ben nu offline, dus ik antwoord zelf.",
        "pt": "Agora estou sem ligação, por isso respondo eu.",
    },
    Notice.UNRECORDED: {
        "en": "I can't note down what I send right now, so I send nothing, and this answer is my own.",
        "de": "Ich kann gerade nicht aufschreiben, was ich sende, also sende ich nichts und antworte selbst.",
        "fr": "Je ne peux pas noter ce que j'envoie, alors je n'envoie rien et je réponds moi-même.",
        "es": "Ahora no puedo anotar lo que envío, así que no envío nada y respondo yo.",
        "it": "Ora non posso annotare ciò che invio, quindi non invio nulla e rispondo da solo.",
        "nl": "Ik kan nu niet opschrijven wat ik verstuur, dus ik verstuur niets en antwoord zelf.",
        "pt": "Agora não posso anotar o que envio, por isso não envio nada e respondo eu.",
    },
    Notice.BUDGET: {
        "en": "The budget for the better model is used up, so a cheaper one answers.",
        "de": "Das Budget für das bessere Modell ist verbraucht, also antwortet ein günstigeres.",
        "fr": "Le budget du meilleur modèle est épuisé, alors un modèle moins cher répond.",
        "es": "El presupuesto del mejor modelo se ha agotado, así que responde uno más barato.",
        "it": "Il budget del modello migliore è esaurito, quindi risponde uno più economico.",
        "nl": "Het budget voor het betere model is op, dus een goedkoper model antwoordt.",
        "pt": "O orçamento do melhor modelo acabou, por isso responde um mais barato.",
    },
    Notice.BLIND: {
        "en": "I can't look at pictures right now.",
        "de": "Ich kann mir gerade keine Bilder ansehen.",
        "fr": "Je ne peux pas regarder d'images en ce moment.",
        "es": "Ahora no puedo ver imágenes.",
        "it": "In questo momento non posso guardare immagini.",
        "nl": "Ik kan nu geen foto's bekijken.",
        "pt": "Agora não posso ver imagens.",
    },
}


def words(notice: Notice, language: str | None) -> str:
    """Return it as a sentence."""
    return _WORDS[notice].get((language or "en").split("-")[0].lower(), _WORDS[notice]["en"])
