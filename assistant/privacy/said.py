"""The day's ledger in a sentence or two, to be spoken: "what did you send today?"."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from assistant.privacy.entries import OPEN, UNSENT, Entry, overall


@dataclass(frozen=True, slots=True)
class _Words:
    unknown: str
    nothing: str
    sent: str
    """{what}, {to}"""
    requests: Callable[[int], str]
    pictures: Callable[[int], str]
    and_: str
    house: str
    """{to}: a place in one's own network."""
    masked: Callable[[int], str]
    unfinished: Callable[[int], str]
    cost: str
    """{money}"""
    money: Callable[[int, str], str]
    """Cents, currency."""
    less_than_a_cent: str


_MAJOR: Final = {
    "USD": ("dollar", "dollars", "cent", "cents"),
    "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
}


def _english_money(cents: int, currency: str) -> str:
    names = _MAJOR.get(currency)
    if names is None:
        return f"{cents / 100:.2f} {currency}"
    one, many, cent, few = names
    whole, rest = divmod(cents, 100)
    parts = [f"{whole} {one if whole == 1 else many}"] if whole else []
    parts += [f"{rest} {cent if rest == 1 else few}"] if rest else []
    return " and ".join(parts)


def _plain_money(cents: int, currency: str) -> str:
    name = {"USD": "Dollar", "EUR": "Euro", "GBP": "Pfund"}.get(currency, currency)
    return f"{cents // 100},{cents % 100:02d} {name}" if cents >= 100 else f"{cents} Cent"


def _latin_money(cents: int, currency: str) -> str:
    name = {"USD": "dollars", "EUR": "euros"}.get(currency, currency)
    return f"{cents // 100},{cents % 100:02d} {name}"


_WORDS: Final = {
    "en": _Words(
        unknown="I can't look into my ledger right now.",
        nothing="Nothing left this machine today.",
        sent="Today I sent {what} to {to}.",
        requests=lambda n: "one request" if n == 1 else f"{n} requests",
        pictures=lambda n: "a picture" if n == 1 else f"{n} pictures",
        and_=" and ",
        house="{to} in your network",
        masked=lambda n: "I hid one private detail." if n == 1 else f"I hid private details {n} times.",
        unfinished=lambda n: "One of them came to nothing." if n == 1 else f"{n} of them came to nothing.",
        cost="It cost {money}.",
        money=_english_money,
        less_than_a_cent="It cost less than a cent.",
    ),
    "de": _Words(
        unknown="Ich kann gerade nicht in mein Protokoll sehen.",
        nothing="Heute hat nichts dieses Gerät verlassen.",
        sent="Heute habe ich {what} an {to} geschickt.",
        requests=lambda n: "eine Anfrage" if n == 1 else f"{n} Anfragen",
        pictures=lambda n: "ein Bild" if n == 1 else f"{n} Bilder",
        and_=" und ",
        house="{to} in deinem Netz",
        masked=lambda n: "Eine private Angabe habe ich verdeckt." if n == 1 else f"{n} Mal habe ich Privates verdeckt.",
        unfinished=lambda n: "Eine davon blieb ohne Ergebnis." if n == 1 else f"{n} davon blieben ohne Ergebnis.",
        cost="Das hat {money} gekostet.",
        money=_plain_money,
        less_than_a_cent="Das hat weniger als einen Cent gekostet.",
    ),
    "fr": _Words(
        unknown="Je ne peux pas consulter mon registre pour l'instant.",
        nothing="Rien n'a quitté cette machine aujourd'hui.",
        sent="Aujourd'hui, j'ai envoyé {what} à {to}.",
        requests=lambda n: "une demande" if n == 1 else f"{n} demandes",
        pictures=lambda n: "une image" if n == 1 else f"{n} images",
        and_=" et ",
        house="{to} dans votre réseau",
        masked=lambda n: "J'ai masqué une donnée privée." if n == 1 else f"J'ai masqué des données privées {n} fois.",
        unfinished=lambda n: "L'une d'elles n'a rien donné." if n == 1 else f"{n} d'entre elles n'ont rien donné.",
        cost="Cela a coûté {money}.",
        money=_latin_money,
        less_than_a_cent="Cela a coûté moins d'un centime.",
    ),
    "es": _Words(
        unknown="Ahora no puedo consultar mi registro.",
        nothing="Hoy no ha salido nada de esta máquina.",
        sent="Hoy he enviado {what} a {to}.",
        requests=lambda n: "una petición" if n == 1 else f"{n} peticiones",
        pictures=lambda n: "una imagen" if n == 1 else f"{n} imágenes",
        and_=" y ",
        house="{to} en tu red",
        masked=lambda n: "He ocultado un dato privado." if n == 1 else f"He ocultado datos privados {n} veces.",
        unfinished=lambda n: "Una de ellas no dio resultado." if n == 1 else f"{n} de ellas no dieron resultado.",
        cost="Ha costado {money}.",
        money=_latin_money,
        less_than_a_cent="Ha costado menos de un céntimo.",
    ),
}


def said(entries: Sequence[Entry] | None, currency: str, language: str | None) -> str:
    """Return what the entries come to; None: they can't be read. A language that isn't known here is English."""
    words = _WORDS.get((language or "en").split("-")[0].lower(), _WORDS["en"])
    if entries is None:
        return words.unknown
    sent = [entry for entry in entries if entry.outcome != UNSENT]
    if not sent:
        return words.nothing
    all_ = overall(sent)
    what = words.requests(all_.requests)
    if all_.pictures:
        what = _joined([what, words.pictures(all_.pictures)], words.and_)
    to = [words.house.format(to=host) if place == "lan" else host for place, host in _hosts(sent)]
    sentences = [words.sent.format(what=what, to=_joined(to, words.and_))]
    lost = sum(entry.outcome in {OPEN, "failed"} for entry in sent)
    if lost:
        sentences.append(words.unfinished(lost))
    if all_.masked:
        sentences.append(words.masked(all_.masked))
    if all_.cost:
        cents = round(all_.cost * 100)
        cost = words.cost.format(money=words.money(cents, currency)) if cents else words.less_than_a_cent
        sentences.append(cost)
    return " ".join(sentences)


def _hosts(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """Return the places and hosts, those with the most requests first."""
    counts: dict[tuple[str, str], int] = {}
    for entry in entries:
        counts[entry.place, entry.host] = counts.get((entry.place, entry.host), 0) + 1
    return sorted(counts, key=lambda key: -counts[key])


def _joined(items: Sequence[str], and_: str) -> str:
    return and_.join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else items[0]
