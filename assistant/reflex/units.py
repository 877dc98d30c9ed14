"""Units of measure and what they convert to, by pint. Only units that people ask for have names here."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from assistant.reflex.numbers import read_number, words_of, written

# The unit's name for pint, then its names in English: one of them, many of them, others.
_TABLE: Final = """
millimeter: millimeter, millimeters, millimetre, millimetres, mm
centimeter: centimeter, centimeters, centimetre, centimetres, cm, cms, centi meters
meter: meter, meters, metre, metres, m
kilometer: kilometer, kilometers, kilometre, kilometres, km, kms, kilo meters, kilo metres
inch: inch, inches, in
foot: foot, feet, ft
yard: yard, yards, yd, yds
mile: mile, miles, mi
nautical_mile: nautical mile, nautical miles
light_year: light year, light years
milligram: milligram, milligrams, mg
gram: gram, grams, gramme, grammes, g
kilogram: kilogram, kilograms, kilogramme, kilogrammes, kilo, kilos, kg, kgs, kilo gram, kilo grams
metric_ton: tonne, tonnes, metric ton, metric tons
ounce: ounce, ounces, oz
pound: pound, pounds, lb, lbs
stone: stone, stones
milliliter: milliliter, milliliters, millilitre, millilitres, ml, mil, mils
centiliter: centiliter, centiliters, centilitre, centilitres, cl
deciliter: deciliter, deciliters, decilitre, decilitres, dl
liter: liter, liters, litre, litres, l, leader, leaders
cup: cup, cups
teaspoon: teaspoon, teaspoons, tsp
tablespoon: tablespoon, tablespoons, tbsp
fluid_ounce: fluid ounce, fluid ounces, fl oz
pint: pint, pints
quart: quart, quarts
gallon: gallon, gallons
imperial_pint: imperial pint, imperial pints
imperial_gallon: imperial gallon, imperial gallons
degC: degree Celsius, degrees Celsius, celsius, salsa, salsas, degrees centigrade, centigrade, ° c, c
degF: degree Fahrenheit, degrees Fahrenheit, fahrenheit, ° f, f, foreign height
kelvin: kelvin, kelvin, kelvins, k elvin
millisecond: millisecond, milliseconds, ms
second: second, seconds, sec, secs
minute: minute, minutes, min, mins
hour: hour, hours, hr, hrs
day: day, days
week: week, weeks
month: month, months
year: year, years
decade: decade, decades
century: century, centuries
square_meter: square meter, square meters, square metre, square metres
square_foot: square foot, square feet
square_kilometer: square kilometer, square kilometers, square kilometre, square kilometres
square_mile: square mile, square miles
acre: acre, acres
hectare: hectare, hectares
kilometer_per_hour: kilometer per hour, kilometers per hour, kilometres per hour, kilometre per hour, kmh, km/h, kph
mile_per_hour: mile per hour, miles per hour, mph
meter_per_second: meter per second, meters per second, metres per second
knot: knot, knots
byte: byte, bytes
kilobyte: kilobyte, kilobytes, kb
megabyte: megabyte, megabytes, mb
gigabyte: gigabyte, gigabytes, gb
terabyte: terabyte, terabytes, tb
joule: joule, joules
kilojoule: kilojoule, kilojoules, kj
calorie: calorie, calories
kilocalorie: kilocalorie, kilocalories, kcal
watt_hour: watt hour, watt hours
kilowatt_hour: kilowatt hour, kilowatt hours
bar: bar, bar
psi: psi, psi
"""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: its name for pint, and in English."""

    name: str
    one: str
    many: str


@dataclass(frozen=True, slots=True)
class Quantity:
    """So much of a unit."""

    value: Fraction
    unit: Unit

    def __str__(self) -> str:
        if self.unit.name == "foot" and self.value.denominator != 1 and (12 * self.value).denominator == 1:
            feet, inches = divmod(12 * self.value, 12)
            return f"{feet} {self.unit.one if feet == 1 else self.unit.many} {inches}"
        return f"{written(self.value)} {self.unit.one if self.value == 1 else self.unit.many}"


def _names() -> dict[tuple[str, ...], Unit]:
    found: dict[tuple[str, ...], Unit] = {}
    for line in _TABLE.strip().splitlines():
        name, _, texts = line.partition(": ")
        one, many, *_ = names = [text.strip() for text in texts.split(",")]
        for text in names:
            found[tuple(text.casefold().split())] = Unit(name, one, many)
    return found


_UNITS: Final = _names()
_LONGEST: Final = max(map(len, _UNITS))


def read_unit(words: Sequence[str], at: int = 0) -> tuple[Unit, int] | None:
    """Return the unit that begins at word `at`, and the place of the word after it."""
    for length in range(_LONGEST, 0, -1):
        name = tuple(words[at : at + length])
        if len(name) == length and name in _UNITS:
            return _UNITS[name], at + length
    return None


def whole_unit(text: str) -> Unit | None:
    """Return the unit that `text` names, and nothing besides."""
    words = words_of(text)
    found = read_unit(words)
    return found[0] if found is not None and found[1] == len(words) else None


def read_quantity(text: str) -> Quantity | None:
    """Return the quantity that `text` is, and nothing besides: "two litres", "a mile", "5 foot 10"."""
    words = words_of(text)
    while words[:1] in (["the"], ["about"]):
        words = words[1:]
    if words[:1] in (["to"], ["too"]):  # what "two" sounds like
        words = ["two", *words[1:]]
    if words[:1] in (["a"], ["an"]) and read_unit(words, 1) is not None:
        words = ["1", *words[1:]]
    first = _quantity(words, 0)
    if first is None:
        return None
    quantity, here = first
    if here == len(words):
        return quantity
    here += words[here] == "and"
    second = _quantity(words, here)
    if second is None and quantity.unit.name == "foot" and (inches := read_number(words, here)) is not None:
        second = Quantity(inches[0], _UNITS[("inch",)]), inches[1]  # "five foot ten"
    if second is None or second[1] != len(words):
        return None
    part = convert(second[0], quantity.unit)
    return None if part is None else Quantity(quantity.value + part.value, quantity.unit)


def _quantity(words: Sequence[str], at: int) -> tuple[Quantity, int] | None:
    number = read_number(words, at)
    if number is None:
        return None
    value, here = number
    here += words[here : here + 1] in (["a"], ["an"])  # "half a mile"
    here += 2 * (words[here : here + 2] in (["of", "a"], ["of", "an"]))
    unit = read_unit(words, here)
    if unit is None and words[here : here + 1] in (["degrees"], ["degree"]):
        return None
    return None if unit is None else (Quantity(value, unit[0]), unit[1])


@lru_cache(maxsize=1)
def _registry() -> Any:
    from pint import UnitRegistry  # noqa: PLC0415 - takes half a second

    return UnitRegistry()


def warm() -> None:
    """Load the units: the first conversion would take half a second."""
    _registry()


def convert(quantity: Quantity, unit: Unit) -> Quantity | None:
    """Return the same amount in `unit`; None where that measures something else."""
    from pint.errors import PintError  # noqa: PLC0415

    registry = _registry()
    try:
        amount = registry.Quantity(float(quantity.value), registry.parse_units(_pint(quantity.unit)))
        converted = float(amount.to(registry.parse_units(_pint(unit))).magnitude)
    except PintError:
        return None
    return Quantity(Fraction(converted).limit_denominator(10**9), unit)


def _pint(unit: Unit) -> str:
    name = unit.name
    if name.startswith("square_"):
        return f"{name.removeprefix('square_')} ** 2"
    return name.replace("_per_", " / ")
