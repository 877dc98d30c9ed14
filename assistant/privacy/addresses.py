"""Street addresses and e-mail addresses in a text, written or spoken."""

import re
from collections.abc import Iterator
from typing import Final

from assistant.privacy.digits import runs
from assistant.privacy.spans import Kind, Span

_CAP: Final = r"[A-ZÀ-ÖØ-Þ][\w'’.-]{0,40}"
_STREET: Final = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Pl|Square|Sq|Terrace|Ter|Way|"
    r"Crescent|Cres|Close|Highway|Hwy|Parkway|Pkwy|Row|Walk|Gardens|Garden|Grove|Hill|Mews|Alley|Loop|Gate|Circle|Cir|"
    r"Trail|Turnpike|Quay|Wharf|Green|Park|Plaza|Broadway)\b\.?"
)
_SPOKEN_STREET: Final = (
    r"(?:street|avenue|road|lane|drive|boulevard|court|place|square|terrace|way|crescent|close|grove|gardens|mews|alley|"
    r"parkway|highway|broadway)\b"
)
_NUMBER: Final = r"\d{1,5}[A-Za-z]?(?:[-/]\d{1,4}[A-Za-z]?)?"
_UNIT: Final = r"(?:(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Room)\b\.?\s*#?\s*\w+|#\s*\d+\w*)"
_SIDE: Final = r"(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\b\.?"
_NO_CITY: Final = (
    r"(?!(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|January|February|March|April|May|June|July|August|September|October|"
    r"November|December|Please|Thanks|Thank|And|But|I\b)"
)
_CITY: Final = rf"{_NO_CITY}{_CAP}(?:[ -]{_CAP}){{0,2}}"
_UK: Final = r"[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}\b"
_US: Final = r"\b[A-Z]{2}\s+\d{5}(?:-\d{4})?\b"
_TAIL: Final = (
    rf"(?:,?\s+{_UNIT})?"
    rf"(?:,?\s+\d{{4,5}}\s+{_CAP}(?:[ -]{_CAP})?|,\s*{_CITY}(?:,?\s+(?:{_UK}|{_US}))?|,?\s+(?:{_UK}|{_US}|\d{{5}}\b))*"
)
_GERMAN_ENDS: Final = (
    r"(?:[Ss]tra(?:ß|ss)e|[Ss]tr\.|[Ww]eg|[Pp]latz|[Aa]llee|[Gg]asse|[Rr]ing|[Dd]amm|[Uu]fer|[Hh]of|[Ss]teig|"
    r"[Cc]haussee|straat|laan|plein|gracht|kade|dijk|singel)"
)
_NO_PLACE: Final = (
    r"(?!(?:Mon|Diens|Donners|Frei|Sams|Sonn)tag|Mittwoch|Januar|Februar|März|April|Mai|Juni|Juli|August|September|"
    r"Oktober|November|Dezember|Jahr|Ende|Anfang|Tag|Monat|Alter|Durchschnitt|Kapitel|Umkreis|Uhr|Stand)"
)
_ARTICLES: Final = r"(?:de\s+la\s+|de\s+l['’]|du\s+|des\s+|de\s+|d['’]|la\s+|le\s+|les\s+|l['’])?"

_WRITTEN: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # English: 12 Maple Street, 45 West 34th Street, Apt 5B
        rf"(?:{_UNIT},?\s+)?\b{_NUMBER},?\s+(?:(?:{_CAP}|\d{{1,3}}(?:st|nd|rd|th)|of|the)\s+){{1,4}}{_STREET}"
        rf"(?:\s+{_SIDE})?{_TAIL}",
        # German and Dutch: Lindenweg 12a, Karl-Marx-Allee 90, Am Markt 3
        rf"\b{_CAP}?(?:(?<=\w)|(?<=-)|(?<=\w\s)){_GERMAN_ENDS}\s+\d{{1,4}}\s?[a-z]?\b{_TAIL}",
        rf"\b(?:Am|An der|Auf der|Auf dem|Im|In der|Zum|Zur|Unter den)\s+{_NO_PLACE}{_CAP}\s+\d{{1,3}}[a-z]?\b"
        rf"(?!\s*(?:Uhr|Prozent|Euro|Grad|%|€)){_TAIL}",
        # French: 12 rue de la Paix
        rf"\b\d{{1,4}}(?:\s?(?:bis|ter))?,?\s+(?i:rue|avenue|boulevard|bd|place|chemin|allée|impasse|quai|cours|route)\s+"
        rf"{_ARTICLES}{_CAP}(?:[ -]{_CAP}){{0,3}}{_TAIL}",
        # Spanish, Italian, Portuguese: Calle Mayor 14
        rf"\b(?i:calle|avenida|avda\.?|plaza|paseo|carrer|via|viale|piazza|corso|rua)\s+"
        rf"(?:(?:de\s+la|de\s+los|del|de|di|della|dei|da|do)\s+)?{_CAP}(?:\s+{_CAP}){{0,3}},?\s+(?:n[º°.]?\s*)?"
        rf"\d{{1,4}}\b{_TAIL}",
        r"\b[Pp]\.?\s?[Oo]\.?\s?[Bb]ox\s+\d+\b|\bPostfach\s+\d+(?:\s\d+)*\b",
        rf"(?<![^\W_]){_UK}",
    )
)
_HOME: Final = re.compile(
    rf"\b(?i:live|lives|lived|living|home|house|flat|moved|address)\b[^.!?\d]{{0,25}}?\b(?i:on|in|at|to|is)\s+"
    rf"((?:{_CAP}\s+){{1,3}}{_STREET}{_TAIL})"
)
_SPOKEN: Final = re.compile(rf"[\s,]+((?:[^\W\d_][\w'’-]*\s+){{1,3}}?){_SPOKEN_STREET}", re.I)
_NEVER_IN_A_STREET: Final = frozenset(
    # Words after which "road" or "street" is a thing and no name: "five miles of road", "a four lane highway".
    """a an the of to from in on at down up for and or is are was were be it way lane lanes mile miles kilometre
    kilometres kilometer kilometers km metre metres meter meters m feet foot minute minutes hour hours second
    seconds day days week weeks month months year years block blocks car cars star stars more other others
    different per percent people person by side step steps floor floors times degrees dollar dollars euro euros
    pound pounds o'clock oclock am pm that this with without when which who near off along across past out into
    than then as if but not no my your his her our their its will would can could should may might must do does
    did has have had go goes went come comes two""".split()
)


def find_addresses(text: str) -> Iterator[Span]:
    """Yield street addresses: a street with a number, a post box, a British postcode, or the street that is a home."""
    for pattern in _WRITTEN:
        for found in pattern.finditer(text):
            yield _address(text, found.start(), found.end())
    for found in _HOME.finditer(text):
        yield _address(text, found.start(1), found.end(1))
    for run in runs(text):
        spoken = _SPOKEN.match(text, run.end)
        if spoken and len(run.digits) <= 6 and not _NEVER_IN_A_STREET & set(spoken[1].casefold().split()):
            yield _address(text, run.start, spoken.end())


def _address(text: str, start: int, end: int) -> Span:
    end = start + len(text[start:end].rstrip(" ,."))
    return Span(Kind.ADDRESS, start, end, re.sub(r"\W+", " ", text[start:end]).casefold())


_AT: Final = r"(?:\s*@\s*|\s+(?:at|arobase|arroba|chiocciola|ät|klammeraffe|apenstaartje)\s+)"
_DOT: Final = r"(?:\.|\s+(?:dot|punkt|point|punto|punt|ponto)\s+)"
_LABEL: Final = r"[^\W_](?:[\w-]|\s+(?:dash|hyphen|minus|bindestrich|tiret|guion)\s+(?=\w))*"
_HOST: Final = re.compile(rf"{_AT}({_LABEL}(?:{_DOT}{_LABEL})*{_DOT}[^\W\d_]{{2,24}})\b", re.I)
_LOCAL: Final = re.compile(r"[\w.%+'-]*[\w%+-]")
_JOINS: Final = frozenset(
    """dot punkt point punto punt ponto underscore unterstrich dash hyphen minus bindestrich tiret guion plus""".split()
)
_BEFORE_A_NAME: Final = frozenset(
    """to is was my email e-mail emails mail mails it's its it the a an address adresse send sent write contact
    reply forward copy and or ist est es an von me him her us them under unter on add use ask this that for from
    please correo login account try with cc name adresse mailadresse postfach i'm i am are be as by of in at
    oder und y et o ou about courriel lautet meine mon mi la el le der die das als call text message invite""".split()
)
_NOT_A_NAME: Final = frozenset(
    """it work works worked working look looks looked looking bought buy buys order ordered orders shop shops
    shopping found find available us me you him her them here there is was are were be read book booked login
    log sign live lives lived arrive meet visit see saw start started price prices time today now online out up
    more people free sale best stay that this job meeting office page site""".split()
)


def find_emails(text: str) -> Iterator[Span]:
    """Yield e-mail addresses, also those of which a sign or all is spoken: "john dot smith at gmail dot com"."""
    for found in _HOST.finditer(text):
        start = _local_start(text, found.start(), written="@" in found.group())
        if start is not None:
            yield Span(Kind.EMAIL, start, found.end(), _email_key(text[start : found.end()]))


def _local_start(text: str, end: int, *, written: bool) -> int | None:
    """Return where the part before the @ begins, or None where there is none."""
    words = list(_LOCAL.finditer(text, max(0, end - 120), end))
    if not words or words[-1].end() != end or (not written and words[-1].group().casefold() in _NOT_A_NAME):
        return None
    start = words[-1].start()
    names = 1
    for place in range(len(words) - 2, -1, -1):
        word, follower = words[place].group().casefold(), words[place + 1].group().casefold()
        joined = word in _JOINS or follower in _JOINS
        if text[words[place].end() : words[place + 1].start()].strip() or (written and not joined):
            break
        if not joined and (word in _BEFORE_A_NAME or names == 3):
            break
        names += not joined
        start = words[place].start()
    return start


def _email_key(address: str) -> str:
    signs = {"underscore": "_", "unterstrich": "_", "plus": "+"} | dict.fromkeys(
        ("dash", "hyphen", "minus", "bindestrich", "tiret", "guion"), "-"
    )
    key = re.sub(_AT, "@", address, count=0, flags=re.I)
    key = re.sub(_DOT, ".", key, flags=re.I)
    key = re.sub(rf"\s+({'|'.join(signs)})\s+", lambda found: signs[found[1].casefold()], key, flags=re.I)
    return re.sub(r"\s+", "", key).casefold()
