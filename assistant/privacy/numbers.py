"""Phone numbers, cards and bank accounts in a text, written or spoken."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from assistant.privacy.digits import Run, runs
from assistant.privacy.spans import Kind, Span

_PHONE: Final = range(7, 16)
_CARD: Final = range(12, 20)

_CARD_WORDS: Final = re.compile(
    r"\b(?:cards?|visa|master\s?card|amex|american express|diners|discover|(?:kredit)?karte|carte|tarjeta|carta)\b",
    re.I,
)
_ACCOUNT_WORDS: Final = re.compile(r"\b(?:iban|accounts?|konto|kontonummer|compte|cuenta|conto)\b", re.I)
_PHONE_WORDS: Final = re.compile(
    r"\b(?:call|dial|phone|telephone|ring|rang|text|sms|whatsapp|fax|mobile|cell|contacts?|reach|tel|"
    r"numbers? (?:is|was)|my (?:\w+ )?numbers?|anrufen|ruf|handy|handynummer|telefon\w*|mobil\w*|appelle\w*|"
    r"téléphone|portable|numéro|teléfono|móvil|llam\w+|telefono|cellulare|numero)\b",
    re.I,
)
_MATH_WORDS: Final = re.compile(
    r"\b(?:prime|hex\w*|binary|octal|roman|factor\w*|divi\w*|digits?|words|square|cube|root|convert|modulo|sum|"
    r"primzahl|quersumme|wurzel|nombre premier|racine)\b",
    re.I,
)
_AFTER: Final = re.compile(
    # An amount of something, or a term of a sum, is no phone number.
    r"\s*(?:[*×÷=^%°$€£¥]|[-+]\s*\d|(?:times|plus|minus|divided|multiplied|over|mod|percent|thousand|million|billion|"
    r"trillion|hundred|people|inhabitants|men|women|years?|months?|weeks?|days?|hours?|minutes?|seconds?|km|kilomet\w+|"
    r"miles?|met(?:re|er)s?|m|cm|mm|feet|inches|grams?|kg|kilos?|tons?|tonnes?|lit(?:re|er)s?|bytes?|bits?|"
    r"[kmgt]i?b|pixels?|dollars?|euros?|pounds?|cents?|yen|rupees?|francs?|pesos?|degrees?|points?|copies|"
    r"users?|times|steps|lines|files|mal|geteilt|tausend|millionen|einwohner|menschen|jahre|fois|habitants|millions|"
    r"personnes|ans|por|personas|años|millones)\b)",
    re.I,
)
_BEFORE: Final = re.compile(
    r"(?:[*×÷=^$€£¥]|\d\s*[-+]|\b(?:times|minus|by|(?:isbn|issn|ean)(?:\s+is|:)?|version|error|port|usd|eur|gbp|mal|durch))\s*$",
    re.I,
)
_AMOUNT: Final = re.compile(r"[1-9]\d{0,2}(?:([.,'’])\d{3})(?:\1\d{3})*(?:(?!\1)[.,]\d+)?|\d+[.,]\d+")
_DATE: Final = re.compile(
    r"\d{4}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2\d{2}|\d{1,2}([-/. ])\d{1,2}\3(?:19|20)\d{2}|"
    # Years in a row, and an address of the internet.
    r"(?:1[5-9]|20)\d{2}(?:,? (?:1[5-9]|20)\d{2})+|\d{1,3}(?:\.\d{1,3}){3}"
)
_FOURS: Final = re.compile(r"\d{4}([ -])\d{4}\1\d{4}\1\d{4}")

_IBAN_LENGTHS: Final = {
    code: int(length)
    for length, codes in (
        pair.split(":")
        for pair in (
            "15:NO|16:BE|18:DK FO FI GL NL SD FK|19:MK SI|20:AT BA EE KZ XK LT LU MN|21:HR LV LI CH|"
            "22:BH BG CR DE GE IE ME RS GB VA|23:AE GI IL IQ OM SO TL|24:AD CZ MD PK RO SA SK ES SE TN VG|"
            "25:LY PT ST|26:IS TR|27:BI DJ FR GR IT MC MR SM|28:AL AZ BY CY DO GT HU LB NI PL SV|"
            "29:BR EG PS QA UA|30:JO KW MU YE|31:MT SC|32:LC|33:RU"
        ).split("|")
    )
    for code in codes.split()
}
_IBAN: Final = re.compile(r"(?<![^\W_])[A-Za-z]{2}\d{2}(?:[ \u00a0-]?[A-Za-z0-9]){11,30}")
_LETTERS: Final = re.compile(r"(?<![^\W_])([A-Za-z])[ .-]{0,2}([A-Za-z])[ ,.-]{1,3}(?=\w)")


def find_ibans(text: str) -> Iterator[Span]:
    """Yield bank accounts: whole ones whose check digits agree, or that are spoken of as accounts."""
    spoken_of = _ACCOUNT_WORDS.search(text) is not None
    for found in _IBAN.finditer(text):
        end = _iban_end(text, found.start(), found.end(), spoken_of=spoken_of)
        if end is not None:
            yield Span(Kind.IBAN, found.start(), end, _compact(text[found.start() : end]))
    for run in runs(text):
        head = next((one for one in _LETTERS.finditer(text) if one.end() == run.start), None)
        if head is None:
            continue
        for last in range(len(run.pieces), 0, -1):
            part = run.part(0, last)
            number = f"{head[1]}{head[2]}{part.digits}".upper()
            if _is_iban(number) or (spoken_of and _IBAN_LENGTHS.get(number[:2]) == len(number)):
                yield Span(Kind.IBAN, head.start(), part.end, number)
                break


def _iban_end(text: str, start: int, end: int, *, spoken_of: bool) -> int | None:
    length = _IBAN_LENGTHS.get(text[start : start + 2].upper())
    if length is None:
        return None
    ends = [at for at in range(start + length, end + 1) if len(_compact(text[start:at])) == length]
    whole = [at for at in ends if at == len(text) or not text[at].isalnum()]
    if not whole:
        return None
    return whole[0] if spoken_of or _is_iban(_compact(text[start : whole[0]])) else None


def _compact(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text).upper()


def _is_iban(number: str) -> bool:
    if _IBAN_LENGTHS.get(number[:2]) != len(number):
        return False
    return int("".join(str(int(sign, 36)) for sign in number[4:] + number[:4])) % 97 == 1


def find_cards(text: str) -> Iterator[Span]:
    """Yield payment cards: of a network's range, with the right check digit, or spoken of as cards."""
    spoken_of = _CARD_WORDS.search(text) is not None
    for run in runs(text):
        if len(run.digits) < _CARD.start:
            continue
        whole = text[run.start : run.end]
        if run.digits[0] not in "23456" or _BEFORE.search(text, 0, run.start):
            continue
        numbers = (run.part(0, last).digits for last in range(len(run.pieces), 0, -1))
        if any(is_card(number) or (spoken_of and 13 <= len(number) <= 19) for number in numbers) or _FOURS.match(whole):
            # With all that is said in one breath with it: when it ends, and its code.
            yield Span(Kind.CARD, run.start, run.end, run.digits)


def is_card(number: str) -> bool:
    """Say whether a number can be a card's: its length, its network and its check digit (Luhn)."""
    if len(number) not in _CARD or number[0] not in "23456":
        return False
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(number))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def find_phones(text: str, region: str) -> Iterator[Span]:
    """Yield phone numbers; `region` (such as "US") is where those without a country's code belong."""
    for whole in runs(text):
        for run in _apart(whole, text):
            if len(run.digits) in _PHONE and _is_phone(run, text, region):
                yield Span(Kind.PHONE, run.start, run.end, _phone_key(run.digits, region, plus=run.plus))


def _apart(run: Run, text: str) -> Iterator[Run]:
    """Yield the numbers of a run that lists several, each of them long enough."""
    cuts = [
        place for place in range(1, len(run.pieces)) if "," in text[run.pieces[place - 1].end : run.pieces[place].start]
    ]
    edges = [0, *cuts, len(run.pieces)]
    parts = [run.part(first, last) for first, last in pairwise(edges)]
    if all(len(part.digits) in _PHONE for part in parts):
        yield from parts
    else:
        yield run


def _is_phone(run: Run, text: str, region: str) -> bool:
    written = text[run.pieces[0].start : run.end]
    bare = len(run.pieces) == 1 and not run.spoken
    cue = _PHONE_WORDS.search(text) is not None
    if run.counts or _AMOUNT.fullmatch(written) or _DATE.fullmatch(written) or _AFTER.match(text, run.end):
        return False
    if not run.plus and _BEFORE.search(text[: run.start]):
        return False
    if not run.spoken and not bare and _is_list(run, text):
        return False
    if run.plus or cue or not bare or run.digits.startswith("0"):
        return run.spoken or cue or run.plus or not (_MATH_WORDS.search(text) and bare)
    return not _MATH_WORDS.search(text) and _is_valid(run.digits, region)


def _is_list(run: Run, text: str) -> bool:
    """Say whether commas stand between small numbers: a row of numbers, not one that is grouped."""
    gaps = [text[before.end : after.start] for before, after in pairwise(run.pieces)]
    return all("," in gap for gap in gaps) and all(len(piece.digits) <= 3 for piece in run.pieces)


def _is_valid(digits: str, region: str) -> bool:
    import phonenumbers  # noqa: PLC0415 - only where there is a number

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(digits, region))
    except phonenumbers.NumberParseException:
        return False


def _phone_key(digits: str, region: str, *, plus: bool) -> str:
    """Return the number as it is dialled from abroad, so that two ways to write it are one."""
    import phonenumbers  # noqa: PLC0415 - as above

    try:
        number = phonenumbers.parse(f"+{digits}" if plus else digits, region)
    except phonenumbers.NumberParseException:
        return digits
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
