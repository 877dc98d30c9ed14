"""How amounts are said: money, measures, fractions, percentages, powers."""

import re
import unicodedata
from typing import Final

from pipeline.spoken_numbers import Stage, any_of, table, words

_UNITS: Final = table(
    """
    km: kilometer; m: meter; cm: centimeter; mm: millimeter; µm: micrometer; nm: nanometer; mi: mile; yd: yard;
    ft: foot; ly: light-year; px: pixel; MP: megapixel; ha: hectare; kg: kilogram; g: gram; mg: milligram;
    µg: microgram; t: metric ton; lb: pound; lbs: pound; oz: ounce; l: liter; L: liter; dl: deciliter; dL: deciliter;
    cl: centiliter; ml: milliliter; mL: milliliter; gal: gallon; qt: quart; tsp: teaspoon; tbsp: tablespoon; h: hour;
    hr: hour; hrs: hour; min: minute; mins: minute; s: second; sec: second; secs: second; ms: millisecond;
    µs: microsecond; ns: nanosecond; yr: year; yrs: year; mo: month; wk: week; wks: week; kB: kilobyte; KB: kilobyte;
    MB: megabyte; GB: gigabyte; TB: terabyte; PB: petabyte; KiB: kibibyte; MiB: mebibyte; GiB: gibibyte;
    TiB: tebibyte; kb: kilobit; Mb: megabit; Gb: gigabit; kbps: kilobit per second; Mbps: megabit per second;
    Gbps: gigabit per second; Hz: hertz; kHz: kilohertz; MHz: megahertz; GHz: gigahertz; V: volt; kV: kilovolt;
    mV: millivolt; mA: milliamp; mAh: milliamp hour; Ah: amp hour; W: watt; mW: milliwatt; kW: kilowatt; MW: megawatt;
    GW: gigawatt; Wh: watt hour; kWh: kilowatt hour; MWh: megawatt hour; J: joule; kJ: kilojoule; MJ: megajoule;
    cal: calorie; kcal: kilocalorie; hPa: hectopascal; kPa: kilopascal; dB: decibel; lm: lumen; hp: horsepower;
    mph: mile per hour; kph: kilometer per hour; kmh: kilometer per hour; rpm: revolution per minute;
    bpm: beat per minute; fps: frame per second; ppm: part per million; psi: pound per square inch;
    °C: degree Celsius; °F: degree Fahrenheit; °: degree
    """
)
_MONEY: Final = table(
    """
    $: dollar; ¢: cent; €: euro; £: pound; ¥: yen; ₹: rupee; ₩: won; ₽: ruble; US$: US dollar; A$: Australian dollar;
    AU$: Australian dollar; C$: Canadian dollar; CA$: Canadian dollar; NZ$: New Zealand dollar; HK$: Hong Kong dollar;
    S$: Singapore dollar; USD: US dollar; EUR: euro; GBP: British pound;
    JPY: yen; CHF: Swiss franc; CNY: yuan; CAD: Canadian dollar; AUD: Australian dollar; INR: rupee
    """
)
_CODES: Final = any_of(sign for sign in _MONEY if sign.isalpha())
_COINS: Final = {"dollar": "cent", "euro": "cent", "pound": "penny"}
_MAGNITUDES: Final = table("k: thousand; m: million; mn: million; b: billion; bn: billion; tn: trillion")
_PLURALS: Final = table(
    """
    foot: feet; inch: inches; half: halves; penny: pence; hertz: hertz; kilohertz: kilohertz; megahertz: megahertz;
    gigahertz: gigahertz; horsepower: horsepower; yen: yen; won: won; yuan: yuan
    """
)
_PARTS: Final = table(
    """
    2: half; 3: third; 4: quarter; 5: fifth; 6: sixth; 7: seventh; 8: eighth; 9: ninth; 12: twelfth; 16: sixteenth;
    32: thirty-second; 64: sixty-fourth
    """
)
_PAIRS: Final = table("24/7: 24 7; 9/11: 9 11; 50/50: fifty-fifty")
_POWERS: Final = table("2: squared; 3: cubed")

_NUMBER: Final = r"\d(?:[\d.,]*\d)?"
_PER: Final = r"(?: ?/ ?(?P<per>[A-Za-z]{1,9})(?P<squared>²|\^2)?)?(?![\w²³'’])"
_UNIT: Final = rf"(?P<area>(?:sq|cu)\.? ?)?(?P<unit>{any_of(_UNITS)})(?P<power>²|³|(?<=m)\^?[23])?{_PER}"
_NOUN: Final = (
    r"(?P<noun>cup|teaspoon|tablespoon|inch|foot|mile|pound|ounce|pint|quart|gallon|liter|litre|gram|kilogram|meter|"
    r"metre|kilometer|second|minute|hour|day|week|month|year|century|dozen|onion|lemon|lime|apple|avocado)\b"
)
_VALUE: Final = rf"(?P<low>{_NUMBER})(?: ?(?:[-–]|to (?=[$€£¥])) ?[$€£¥]?(?P<high>{_NUMBER}))?"
_MAGNITUDE: Final = r"(?: ?(?P<magnitude>(?:thousand|million|billion|trillion|[kK]|[mM]n?|[bB]n?|tn)\b))?"
_RATE: Final = r"(?: ?/ ?(?P<per>[A-Za-z]{1,9})\b)?(?P<glued>(?=[A-Za-z]))?"
_NEXT_WORD: Final = re.compile(r" [a-z]")
_WHAT_IS_HALVED: Final = re.compile(r" (?:of|the|an?|my|your|his|her|its|our|their)\b")


def _many(name: str) -> str:
    """Return the plural: "square foot per day" -> "square feet per day"."""
    head, per, rest = name.partition(" per ")
    if head.startswith("degree "):
        return f"degrees{head[6:]}"
    before, space, last = head.rpartition(" ")
    return f"{before}{space}{_PLURALS.get(last, f'{last}s')}{per}{rest}"


def _count(number: str, name: str) -> str:
    return f"{number} {name if number == '1' else _many(name)}"


def _unit(match: re.Match[str]) -> str:
    """Return the name, in the singular, of what `_UNIT` matched."""
    name, area, power = _UNITS[match["unit"]], match["area"] or "", match["power"] or ""
    if area or power:
        is_square = area.startswith("sq") or power[-1:] in {"2", "²"}
        name = f"{'square' if is_square else 'cubic'} {name}"
    if match["per"]:
        name += f" per {_UNITS.get(match['per'], match['per'])}{' squared' if match['squared'] else ''}"
    return name


def _stands_before_its_noun(match: re.Match[str]) -> bool:
    """Tell "a $5 bill" and "a 5 kg bag" from "$5" and "5 kg"."""
    start = match.start()
    before = f" {match.string[max(0, start - 4) : start]}".lower()
    return before.endswith((" a ", " an ")) and bool(_NEXT_WORD.match(match.string, match.end()))


def _price(match: re.Match[str]) -> str:
    """Say money whose sign comes first, and maybe has a range, a magnitude and a time: "$5-10k/month"."""
    number, high, magnitude, per = match["low"], match["high"], match["magnitude"], match["per"]
    name = _MONEY[match["sign"]]
    said = f"{number} to {high}" if high else number
    if magnitude:
        said = f"{said} {_MAGNITUDES.get(magnitude.lower(), magnitude)}"
    if _stands_before_its_noun(match):
        said = f"{said} {name}"
    elif high or magnitude:
        said = f"{said} {_many(name)}"
    else:
        said = _coins(number, name)
    if per:
        said = f"{said} per {_UNITS.get(per, per)}"
    return said if match["glued"] is None else f"{said} "


def _price_before_sign(match: re.Match[str]) -> str:
    number = re.sub(r",(?=\d\d$)", ".", match["low"])  # 3,50 € has a decimal comma
    return _coins(number, _MONEY[match["sign"]])


def _coins(number: str, name: str) -> str:
    """Say "5.50" as "5 dollars and 50 cents"."""
    whole, _, part = number.partition(".")
    coin = _COINS.get(name.rpartition(" ")[2])
    if coin is None or len(part) != 2:
        return _count(number, name)
    cents = _count(part.removeprefix("0"), coin)
    if part == "00":
        return _count(whole, name)
    return cents if whole == "0" else f"{_count(whole, name)} and {cents}"


def _measure(match: re.Match[str]) -> str:
    unit = _unit(match)
    if match["gap"] == "-":
        return f"{match['low']}-{unit}"
    return f"{match['low']} {unit}" if _stands_before_its_noun(match) else _count(match["low"], unit)


def _feet_and_inches(match: re.Match[str]) -> str:
    return f"{match[1]} foot {match[2]}" if match[2] else _count(match[1], "foot")


def _fraction(match: re.Match[str]) -> str:
    """Say 3/4 as "three quarters", 2 1/2 as "2 and a half", 8/10 as "8 out of 10", 120/80 as "120 over 80"."""
    whole, top, bottom = match["whole"], match["top"], match["bottom"]
    rest = match[0][match.end("bottom") - match.start() :]
    part = _PARTS.get(bottom)
    if not whole and f"{top}/{bottom}" in _PAIRS:
        return f"{_PAIRS[f'{top}/{bottom}']}{rest}"
    if part is None or top == bottom or len(top) > 2:
        said = f"{top} {'over' if int(top) > int(bottom) else 'out of'} {bottom}{rest}"
        return f"{whole} {said}" if whole else said
    unit = _unit(match) if match["unit"] else match["noun"]
    parts = part if top == "1" else _many(part)
    if whole:
        said = f"{whole} and {_article(part) if top == '1' else words(int(top))} {parts}"
        return f"{said} {_many(unit)}" if unit else said
    is_half = f"{top}/{bottom}" == "1/2" and (unit or _WHAT_IS_HALVED.match(match.string, match.end()))
    said = "half" if is_half else f"{words(int(top))} {parts}"
    if unit and match["gap"] == "-":
        return f"{said}-{unit}"
    return f"{said}{'' if is_half else ' of'} {_article(unit)} {unit}" if unit else said


def _article(name: str) -> str:
    return "an" if name[0] in "aeio" or name == "hour" else "a"


def _from_one_character(match: re.Match[str]) -> str:
    """Write ½ as 1/2."""
    fraction = unicodedata.normalize("NFKC", match[2]).replace("\u2044", "/")
    return f"{match[1]} {fraction}" if match[1] else fraction


def _power(match: re.Match[str]) -> str:
    power = unicodedata.normalize("NFKC", match[0]).replace("\u2212", "-").lstrip("^")
    if power in _POWERS:
        return f" {_POWERS[power]}"
    return f" to the power of {power.replace('-', 'minus ')}"


AMOUNTS: Final[tuple[Stage, ...]] = (
    (
        re.compile(r"[$€£¥₹₩₽¢]|[A-Z]{3}"),
        (
            (re.compile(rf"(?<!\w)(?P<sign>{any_of(_MONEY)}) ?{_VALUE}{_MAGNITUDE}{_RATE}"), _price),
            (
                re.compile(rf"(?<![\w.,])(?P<low>{_NUMBER}) ?(?P<sign>[€£¥₹₩₽¢]|\$(?!\d)|(?:{_CODES})\b)"),
                _price_before_sign,
            ),
        ),
    ),
    (
        re.compile(r"[¼-¾⅐-⅞/]"),
        (
            (re.compile(r"(\d?)([¼-¾⅐-⅞])"), _from_one_character),
            (
                re.compile(
                    r"(?<![\w/.,])(?:(?P<whole>\d{1,3})[ -])?(?P<top>\d{1,3})/(?P<bottom>\d{1,3})(?![\w/]|[.,]\d)"
                    rf"(?:(?P<gap>[ -]?)(?:{_UNIT}|{_NOUN}))?"
                ),
                _fraction,
            ),
        ),
    ),
    (
        re.compile(r"\d ?(?:['’′]|ft|h|m)"),
        (
            (re.compile(r"(?<![\w.'’])(\d{1,2})(?:′(?!\d)|['’′](\d{1,2})(?:[\"”″]|'')?(?!\w))"), _feet_and_inches),
            (re.compile(r"(?<![\w.])(\d{1,2}) ?ft\.? (\d{1,2}) ?in\b"), r"\1 feet \2 inches"),
            (re.compile(r"(?<![\w.])(\d{1,2}) ?h(?:rs?)? ?(\d{1,2}) ?m(?:ins?)?\b"), r"\1 h \2 min"),
            (re.compile(r"(?<![\w.])(\d{1,2}) ?m(?:ins?)? ?(\d{1,2}) ?s(?:ecs?)?\b"), r"\1 min \2 s"),
        ),
    ),
    (
        re.compile(r"\d[ -]?[A-Za-zµ°%]"),
        (
            (re.compile(rf"(?<![\w.,])(?P<low>{_NUMBER})(?P<gap>[ -]?){_UNIT}(?:\.(?= [a-z0-9]))?"), _measure),
            (
                re.compile(rf"(?<![\w.,])({_NUMBER}) in(?:\.(?= [a-z0-9])|(?=\.$))"),
                lambda match: _count(match[1], "inch"),
            ),
            (re.compile(r"(?<=[a-z]) ?/ ?(?=(?:minus )?\d[\d.,]* [a-z])"), ", or "),
            (re.compile(r"(?<=\d) ?%"), " percent"),
            (re.compile(r"(?<=\d)(?:M(?= [a-z])|[bm]n\b)"), lambda match: f" {_MAGNITUDES[match[0].lower()]}"),
        ),
    ),
)

MEASURES_ALONE: Final[tuple[Stage, ...]] = (
    (
        re.compile(r"[°²³/]|k[mgW]|cm|[GM]Hz|mph"),
        (
            (
                re.compile(
                    r"(?<![\w./])(?P<area>)(?P<unit>[kc]m|kg|kWh|[GM]Hz|mph|°[CF]|(?:ft|m)(?=/s)|[kKMGT]B(?=/)|m(?=[²³]))"
                    rf"(?P<power>[²³])?{_PER}"
                ),
                lambda match: _many(_unit(match)),
            ),
        ),
    ),
    (
        re.compile(r"[²³^⁰¹⁴-⁹⁻]"),
        ((re.compile(r"(?<=[\w)])(?:\^-?\d{1,3}(?![\w.])|[⁻²³¹⁰⁴-⁹]+)"), _power),),
    ),
)
