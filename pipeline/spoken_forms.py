"""What a voice should be given to say for written English: nothing that it would misread.

Voices read counts, ordinals, decimals and most acronyms well ("1,234", "the 3rd", "3.14", "USB-C"), so these stay. What
they get wrong becomes what a person would say; `spoken_numbers`, `spoken_dates` and `spoken_amounts` see to numbers.
"""

import re
import unicodedata
from typing import Final

from pipeline.spoken_amounts import AMOUNTS, MEASURES_ALONE
from pipeline.spoken_dates import DATES, DOT, SENTENCE_START, TIMES, YEARS
from pipeline.spoken_numbers import NUMBERS, Stage, any_of, ordinal, table


def spoken_form(text: str) -> str:
    """Return what to say for a clause of plain text in English. Ordinary words come back as they are."""
    for sign, rules in _STAGES:
        if sign.search(text):
            for pattern, said in rules:
                text = pattern.sub(said, text)
    return text


_ADDRESS_SIGNS: Final = {".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", "~": "tilde", ":": "port"}
_SPELLED: Final = frozenset({"at", "be", "ch", "de", "es", "fr", "is", "it", "nl", "us"})
"""Domains that would be read as words."""
_DOMAIN: Final = r"(?:[\w-]{1,63}\.){1,8}(?:com|org|net|edu|gov|io|ai|dev|app|info|local|co|uk|eu|tv|de|fr|es|nl|ch)"
_PATH: Final = r"(?::\d{1,5})?(?:[/?#][^\s<>\"“”]*)?"

_TITLES: Final = table(
    "Mr: Mr; Mrs: Mrs; Ms: Miz; Dr: Doctor; Prof: Professor; Mt: Mount; Ft: Fort; Gen: General; Col: Colonel; "
    "Capt: Captain; Lt: Lieutenant; Sgt: Sergeant; Sen: Senator; Gov: Governor; Rev: Reverend; Pres: President"
)
_STREETS: Final = table("St: Street; Ave: Avenue; Blvd: Boulevard; Rd: Road; Hwy: Highway; Ln: Lane")
_PLACES: Final = table("fig: figure; vol: volume; ch: chapter; p: page; pp: pages; ca: around")
_ABBREVIATIONS: Final = table(
    "approx: approximately; dept: department; avg: average; max: maximum; incl: including; a.k.a: also known as; "
    "et al: and others; cf: compare; vs: versus; Jr: Junior; Sr: Senior"
)

_ROMAN: Final = {"I": 1, "V": 5, "X": 10}
_REIGN: Final = (
    r"Henry|Louis|Elizabeth|Charles|George|Edward|William|James|Paul|Benedict|Pius|Leo|Napoleon|Richard|Philip|"
    r"Catherine|Frederick|Ramesses|Ivan|Peter|Alexander|Nicholas|Wilhelm|Gregory|Innocent|Clement|Urban|Francis|Mary|"
    r"Robert|Otto|Ptolemy|Darius|Xerxes|Cleopatra|Thutmose|Mehmed"
)
_NUMBERED: Final = r"War|Chapter|Part|Act|Volume|Phase|Type|Stage|Class|Section|Book|Article|Title|Level|Bowl|Mark|Step"
_COMPARISONS: Final = table("<: less than; >: more than; <=: at most; >=: at least; ≤: at most; ≥: at least")
_TIMES_AND_WEIGHTS: Final = "second|minute|hour|day|night|week|month|year|person|mile|kilogram"
_ONE_ENDS: Final = r"(?=$|[.,;:!?)]|['’]s\b| (?:of|was|is|in|and|to|began|ended|ruled|reigned|became)\b)"
"""What may follow "Part I" and "Elizabeth I", but hardly "the book I"."""
_NUMERAL: Final = r"(?P<roman>X{0,2}(?:IX|IV|VI{1,3}|I{2,3})|X{1,2}(?:I|V))"


def _address(match: re.Match[str]) -> str:
    """Say a web or mail address: without its scheme, "www." and what follows a question mark."""
    address = match[0].rstrip(".,;:!?)'”’]")
    after = match[0][len(address) :]
    address = re.sub(r"^(?:[a-z]+://)?(?:www\.)?", "", address)
    address = re.sub(r"[?#].*", "", address).rstrip("/")
    address = re.sub(r"(?<=:)(\d\d)([1-9]\d)(?!\d)", r"\1 \2", address)
    address = re.sub(r"(?<=\.)[a-z][a-z](?![\w.])", _domain, address)
    said = re.sub(r"[^\w\s]|_", lambda sign: f" {_ADDRESS_SIGNS.get(sign[0], '')} ", address)
    return " ".join(said.split()) + after


def _domain(match: re.Match[str]) -> str:
    return " ".join(match[0].upper()) if match[0] in _SPELLED else match[0]


def _roman(match: re.Match[str]) -> str:
    values = [_ROMAN[letter] for letter in match["roman"]]
    number = sum(-value if value < max(values[at:]) else value for at, value in enumerate(values))
    return str(number)


def _reign(match: re.Match[str]) -> str:
    return f"{match['name']} the {ordinal(int(_roman(match)))}"


_ADDRESSES: Final[Stage] = (
    re.compile(r"://|@|www\.|localhost|[\w-]\.[a-z]{2}"),
    (
        (
            re.compile(
                r"\b(?:https?|wss?|ftp)://[^\s<>\"“”]+|\bwww\.[^\s<>\"“”]+|\blocalhost:\d{1,5}(?:/[^\s<>\"“”]*)?"
            ),
            _address,
        ),
        (re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"), _address),
        (re.compile(rf"(?<![\w.@/-]){_DOMAIN}\b(?!\.\w){_PATH}"), _address),
    ),
)
_ABBREVIATED: Final[tuple[Stage, ...]] = (
    (
        re.compile(r"\b(?:[Ee]\. ?g|[Ii]\. ?e)\b"),
        ((re.compile(r"\b[Ee]\. ?g\b\.?"), "for example"), (re.compile(r"\b[Ii]\. ?e\b\.?"), "that is")),
    ),
    (
        re.compile(r"[a-z]\. [A-Z]|Ms "),
        (
            (re.compile(rf"(?<=\d[a-z][a-z] )St\.(?= {SENTENCE_START})"), "Street."),
            (re.compile(r"(?<=\d[a-z][a-z] )St\."), "Street"),
            (re.compile(rf"\bSt\. +(?=[A-Z])(?!{SENTENCE_START})"), "Saint "),
            (re.compile(rf"\b({any_of(_TITLES)})\. +(?=[A-Z])"), lambda match: f"{_TITLES[match[1]]} "),
            (re.compile(r"\bMs (?=[A-Z][a-z])"), "Miz "),
        ),
    ),
    (
        re.compile(r"[a-zDJS]\.|\bvs "),
        (
            (re.compile(rf"(?<=[a-z] )({any_of(_STREETS)})\b(?=\.){DOT}"), lambda match: _STREETS[match[1]]),
            (re.compile(rf"\b({any_of(_PLACES)})\. ?(?=\d)", re.IGNORECASE), lambda m: f"{_PLACES[m[1].lower()]} "),
            (re.compile(rf"\b({any_of(_ABBREVIATIONS)})\b(?=\.){DOT}"), lambda match: _ABBREVIATIONS[match[1]]),
            (re.compile(r"\bvs\b"), "versus"),
            (re.compile(rf"\bPh\.D\b{DOT}"), "PhD"),
        ),
    ),
    (
        re.compile(r"\b[A-Z]\. ?[A-Z]"),  # a voice would end its sentence at these dots
        (
            (
                re.compile(rf"\b(?:[A-Z]\.){{2,}}(?= [A-Z])(?! {SENTENCE_START})"),
                lambda match: match[0].replace(".", ""),
            ),
            (
                re.compile(rf"(?:\b[A-Z][\w'’-]+ |\b[A-Z]\. )(?:[A-Z]\. )+(?=[A-Z][a-z])(?!{SENTENCE_START})"),
                lambda match: match[0].replace(".", ""),
            ),
        ),
    ),
)
_ROMANS: Final[Stage] = (
    re.compile(r"\b[IVX]{2,}\b|[a-z] [IVX]\b"),
    (
        (re.compile(r"(?<=\b[Aa]n )IV\b|\bIV(?= (?:drip|line|fluid|bag)s?\b)"), "I V"),
        (re.compile(rf"\b(?P<name>{_REIGN}) (?P<roman>[IVX]{{2,5}}|V|X|I{_ONE_ENDS})(?!\w)"), _reign),
        (
            re.compile(rf"\b(?P<name>{_NUMBERED}) (?P<roman>[IVX]{{2,5}}|V|X|I{_ONE_ENDS})(?!\w)"),
            lambda match: f"{match['name']} {_roman(match)}",
        ),
        (re.compile(rf"(?<=[a-z] ){_NUMERAL}(?!\w)"), _roman),
    ),
)
_FORMULAS: Final[Stage] = (
    re.compile(r"[CNSH]O[\d₀-₉]|[₀-₉]"),
    (
        (re.compile(r"[₀-₉]+"), lambda match: unicodedata.normalize("NFKC", match[0])),
        (re.compile(r"\b([CNS])O(\d)\b"), r"\1 O \2"),
        (re.compile(r"\bH(\d)([CNS])O(\d)\b"), r"H \1 \2 O \3"),
    ),
)
_SLASHES: Final[Stage] = (
    re.compile(r"/"),
    (
        (re.compile(r"\bw/o\b"), "without"),
        (re.compile(r"\bw/ ?(?=\w)"), "with "),
        (re.compile(r"\bb/c\b"), "because"),
        (re.compile(r"\b(and|either)/or\b"), r"\1 or"),
        (re.compile(rf"(?<=[a-z]) ?/ ?(?=(?:{_TIMES_AND_WEIGHTS})\b)"), " per "),
        (re.compile(r"(?<![\w/~.-])([a-z'’]+)(?:/| / )(?=[a-z'’]+(?![\w/]|\.\w))"), r"\1 or "),
        (re.compile(r"(?<![\w/~.-])([A-Z][\w'’]*)(?:/| / )(?=[A-Z\d][\w'’]*(?![\w/]|\.\w))"), r"\1 "),
    ),
)
_SIGNS: Final[Stage] = (
    re.compile(r"[<>≤≥→⇒~#]"),
    (
        (re.compile(r" ?(?:-+>|=>|[→⇒]) ?"), " to "),
        (re.compile(r"(?<=[\w)]) ?([<>]=?|[≤≥]) ?(?=-?\d|[a-z]\b)"), lambda match: f" is {_COMPARISONS[match[1]]} "),
        (re.compile(r"(?<!\w)([<>]=?|[≤≥]) ?(?=-?\d)"), lambda match: f"{_COMPARISONS[match[1]]} "),
        (re.compile(r"(?<=\w) > (?=[A-Z])"), ", "),
        (re.compile(r"(?<!\w)~ ?(?=\d)"), "about "),
        (re.compile(r"\b([A-G])#(?!\w)"), r"\1 sharp"),
        (re.compile(r"(?<!\w)#(?=[A-Za-z])"), "hashtag "),
    ),
)
_PAUSES: Final[tuple[Stage, ...]] = (
    (re.compile(r"[:;]-?[()DP]"), ((re.compile(r"^[:;]-?[()DP] +|(?:^| +)[:;]-?[()DP](?=$|[ .!?])"), ""),)),
    (
        re.compile(r"[()]"),
        (
            (re.compile(r"(?<=[a-z])\((e?s)\)"), r"\1"),
            (re.compile(r"(?<=\w) \(([^()]+)\)(?= \w)"), r", \1,"),
            (re.compile(r"(?<=\w) \(([^()]+)\)"), r", \1"),
            (re.compile(r"(?<=\w) \((?=\w)"), ", "),
            (re.compile(r"(?<=\w)\)(?= \w)"), ","),
        ),
    ),
    (
        re.compile(r"…|\.\.|—|--| [-–]"),
        (
            (re.compile(r" ?(?:…|(?<!\.)\.{3,}) ?(?=[a-z])"), ", "),
            (re.compile(r" ?(?:…|(?<!\.)\.{3,}) ?(?=\w)"), ". "),
            (re.compile(r"(?<=[\w\"”’)])(?: [-–—]+ | ?(?:—|--) ?)(?=[\w\"“‘'(])"), ", "),
            (re.compile(r"(?<=[\w\"”’)])(?: [-–—]+|—)$"), ","),
        ),
    ),
)
"""A voice passes over these signs, where a reader would pause."""
_SOUNDS: Final[Stage] = (re.compile(r"[Mm]-?hm"), ((re.compile(r"\b[Mm]+-?hm+\b"), "um-hum"),))

_STAGES: Final[tuple[Stage, ...]] = (
    *(_ADDRESSES, *_ABBREVIATED, *DATES, *NUMBERS, *TIMES, *AMOUNTS, *YEARS, *MEASURES_ALONE),
    *(_ROMANS, _FORMULAS, _SLASHES, _SIGNS, *_PAUSES, _SOUNDS),
)
