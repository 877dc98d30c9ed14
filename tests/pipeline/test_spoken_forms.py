"""What is said for numbers, times, units, money, abbreviations, addresses and signs."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from piper.phonemize_espeak import EspeakPhonemizer

from pipeline.speech_text import plain
from pipeline.spoken_dates import year
from pipeline.spoken_forms import spoken_form

SAID = {
    # times of day and durations
    "It is 7:30 p.m.": "It is 7:30 PM.",
    "at 3.14 p.m. today.": "at 3:14 PM today.",
    "at 5 p.m. Monday": "at 5 PM Monday",
    "at 5 p.m. Then we left": "at 5 PM. Then we left",
    "at 7:05 or 16:05": "at 7 oh 5 or 16 oh 5",
    "at 7:00, 14:00 or 00:00": "at 7 o'clock, 14 hundred or midnight",
    "at 07:30": "at 7:30",
    "from 7:00-9:30 p.m.": "from 7 to 9:30 PM.",
    "9 a.m.–5 p.m. daily": "9 AM to 5 PM daily",
    "The song lasts 45:00.": "The song lasts 45:00.",
    "in 2:01:09": "in 2 hours, 1 minute and 9 seconds",
    "after 1h 30m or 5m 30s": "after 1 hour 30 minutes or 5 minutes 30 seconds",
    # dates
    "on 2024-05-01.": "on May 1st, twenty twenty-four.",
    "at 2024-05-01T14:30:00Z": "at May 1st, twenty twenty-four at 14:30",
    "on May 1, 2024": "on May 1st, twenty twenty-four",
    "on 1 May 2024": "on the 1st of May twenty twenty-four",
    "on the 22nd of May": "on the 22nd of May",
    "5/31/2024 or 31/5/24": "May 31st, twenty twenty-four or May 31st, twenty twenty-four",
    "on 01.05.1999": "on May 1st, nineteen ninety-nine",
    "on 3/4/75": "on March 4th, nineteen seventy-five",
    "on 99/99/2024": "on 99/99/2024",
    "Jan. 5 to Sept. 11": "January 5th to September 11th",
    "May 5-7 and 12–13 June": "May 5th to 7th and the 12th to 13th of June",
    "Dec 25–Jan 1": "December 25th to January 1st",
    "March–May, Mon-Fri": "March to May, Monday to Friday",
    "Sat, Dec 5": "Saturday, December 5th",
    "Jan 2024": "January twenty twenty-four",
    # years and decades
    "in 1883, 1905 and 2010": "in eighteen eighty-three, nineteen oh five and twenty ten",
    "from 1990-1995": "from nineteen ninety to nineteen ninety-five",
    "in 1900, 2000 and 2005": "in 1900, 2000 and 2005",
    "the 1990s, 1900s and 2000s": "the nineteen nineties, nineteen hundreds and two thousands",
    "the '90s and the 2010s": "the nineties and the twenty tens",
    "in her 30s, in 30s": "in her thirties, in 30 seconds",
    # measures
    "-5°C": "minus 5 degrees Celsius",
    "68°F/20°C": "68 degrees Fahrenheit, or 20 degrees Celsius",
    "20 km/h": "20 kilometers per hour",
    "measured in km/h": "measured in kilometers per hour",
    "5 kg": "5 kilograms",
    "1 kg, 1.0 kg": "1 kilogram, 1.0 kilograms",
    "a 5 kg bag": "a 5 kilogram bag",
    "a 5-kg bag": "a 5-kilogram bag",
    "5 lbs. of flour. 2 lbs. Then": "5 pounds of flour. 2 pounds. Then",
    "16 GB at 2.5 GB/s": "16 gigabytes at 2.5 gigabytes per second",
    "9.8 m/s²": "9.8 meters per second squared",
    "30 m², 30 m3, 500 sq ft": "30 square meters, 30 cubic meters, 500 square feet",
    "60 mph, 70 bpm": "60 miles per hour, 70 beats per minute",
    "180 mg/dL": "180 milligrams per deciliter",
    "12 in. of snow": "12 inches of snow",
    "He is 5'10\" tall, 6′": "He is 5 foot 10 tall, 6 feet",
    "5 ft 10 in": "5 feet 10 inches",
    "1 ft, 3 MHz": "1 foot, 3 megahertz",
    # money
    "$5.50": "5 dollars and 50 cents",
    "$1, $2.00, $0.05, $1,234.01": "1 dollar, 2 dollars, 5 cents, 1,234 dollars and 1 cent",
    "€3": "3 euros",
    "£2.50": "2 pounds and 50 pence",
    "3,50 €": "3 euros and 50 cents",
    "¥500 or 5 USD or 99¢": "500 yen or 5 US dollars or 99 cents",
    "$1.2 million": "1.2 million dollars",
    "a $5 million deal, a $5 bill": "a 5 million dollar deal, a 5 dollar bill",
    "$5k-$10k": "5 thousand dollars-10 thousand dollars",
    "$10-15 or $10 to $15": "10 to 15 dollars or 10 to 15 dollars",
    "$5/month": "5 dollars per month",
    "-$5": "minus 5 dollars",
    "$5each": "5 dollars each",
    # fractions and percentages
    "1/2 cup": "half a cup",
    "1/2 of it": "half of it",
    "1/2": "one half",
    "3/4 kg": "three quarters of a kilogram",
    "1½ cups": "1 and a half cups",
    "¾ hour": "three quarters of an hour",
    "2 1/8 kg and 2 3/4": "2 and an eighth kilograms and 2 and three quarters",
    "a 1/2-inch pipe": "a half-inch pipe",
    "8/10, 120/80, 1 5/5": "8 out of 10, 120 over 80, 1 5 out of 5",
    "24/7 support": "24 7 support",
    "3/2": "three halves",
    "50%": "50 percent",
    "5-10% of 5bn": "5 to 10 percent of 5 billion",
    "1.5M users": "1.5 million users",
    # ranges, ratios, products, powers
    "10-15 minutes": "10 to 15 minutes",
    "10 – 15 kg": "10 to 15 kilograms",
    "10 - 5 = 5": "10 minus 5 = 5",
    "5−3, -5–10": "5 minus 3, minus 5 to 10",
    "10:1 odds": "10 to 1 odds",
    "3x faster": "3 times faster",
    "2x, since 2x = 4": "2x, since 2x = 4",
    "2x4, 3 x 4, 0x1F": "2 by 4, 3 times 4, 0x1F",
    "x² and 10^6 and 10⁻³": "x squared and 10 to the power of 6 and 10 to the power of minus 3",
    "3 > 2, x < y, >5": "3 is more than 2, x is less than y, more than 5",
    "~5, .5": "about 5, 0.5",
    "1080p": "10 80 p",
    "the 100th, a 2000th": "the hundredth, a 2 thousandth",
    "1 000 000": "1,000,000",
    # telephones, versions, names
    "+49 30 1234567": "plus 4 9, 3 0, 1 2 3 4 5 6 7",
    "+49 30": "+49 30",
    "(555) 123-4567": "5 5 5, 1 2 3, 4 5 6 7",
    "1-800-555-0199": "1, 8 0 0, 5 5 5, 0 1 9 9",
    "call 911": "call 9 1 1",
    "No. 5 is #1": "number 5 is number 1",
    "v2.1": "version 2.1",
    "Python 3.11": "Python 3 point 11",
    "1.2.3": "1 point 2 point 3",
    "192.168.1.1": "192 dot 168 dot 1 dot 1",
    "Henry VIII in World War II": "Henry the 8th in World War 2",
    "Elizabeth I was, the part I like": "Elizabeth the 1st was, the part I like",
    "Final Fantasy XIV, an IV drip": "Final Fantasy 14, an I V drip",
    "CO2, H₂SO₄": "C O 2, H 2 S O 4",
    "C# and #fun": "C sharp and hashtag fun",
    # abbreviations
    "e.g. tea, i.e. this": "for example tea, that is this",
    "Dr. Smith and Ms. Lee": "Doctor Smith and Miz Lee",
    "St. Louis": "Saint Louis",
    "5th St. NW. On 5th St. There": "5th Street NW. On 5th Street. There",
    "at 5 Main St. in town": "at 5 Main Street in town",
    "Fig. 3, pp. 5-7": "figure 3, pages 5 to 7",
    "approx. 5 vs. 6": "approximately 5 versus 6",
    "a Ph.D. thesis": "a PhD thesis",
    "the U.S. Congress": "the US Congress",
    "in the U.S. The end": "in the U.S. The end",
    "J. R. R. Tolkien": "J R R Tolkien",
    "w/o or w/ milk b/c": "without or with milk because",
    # addresses
    "https://example.com/docs": "example dot com slash docs",
    "see https://www.example.de/a_b-c/?q=1#x.": "see example dot D E slash a underscore b dash c.",
    "www.example.de": "example dot D E",
    "mail me@x.org": "mail me at x dot org",
    "localhost:8765/v1": "localhost port 87 65 slash v1",
    # slashes, pauses and other signs
    "and/or, his/her, TCP/IP": "and or, his or her, TCP IP",
    "60 words/minute": "60 words per minute",
    "a → b": "a to b",
    "Settings > Privacy": "Settings, Privacy",
    "Paris (the capital) is big (5 km)": "Paris, the capital, is big, 5 kilometers",
    "Paris (the capital": "Paris, the capital",
    "the capital) is big, item(s)": "the capital, is big, items",
    "Well... okay… Then": "Well, okay. Then",
    "yes - no—yes -": "yes, no, yes,",
    ":) Hi :-)": "Hi",
    "Mm-hm.": "um-hum.",
}

SAID_WELL = (
    "",
    "1,234 and 3.14 and 0.5 and 1000000",
    "the 3rd and the 21st",
    "USB-C, MP3, 5G, 3D, iPhone 15",
    "H2O is water.",
    "A & B, AT&T, R&D, C++",
    "It is 19:30.",
    "2+2=4, 5±2, 5×3, ≈5",
    "So do I. Really.",
    "Book I read, 'tis rock 'n' roll",
    "a well-known twenty-year-old x-ray, grade A-",
    "src/main.py, report.pdf",
    "Room 101",
    "etc.",
    "Zürich, naïve café, 日本",
    "“Hello,” she said; 'no'?",
)
"""What a voice reads as a person would."""


@pytest.mark.parametrize(("text", "said"), SAID.items(), ids=SAID)
def test_it_is_said_as_a_person_would(text: str, said: str) -> None:
    assert spoken_form(text) == said


@pytest.mark.parametrize("said", [*dict.fromkeys(SAID.values())])
def test_what_is_said_already_stays(said: str) -> None:
    assert spoken_form(said) == said


@pytest.mark.parametrize("text", SAID_WELL)
def test_what_a_voice_reads_well_is_left_to_it(text: str) -> None:
    assert spoken_form(text) == text


@pytest.mark.parametrize(
    ("number", "words"),
    [(1066, "ten sixty-six"), (1812, "eighteen twelve"), (1900, "1900"), (2001, "2001"), (2020, "twenty twenty")],
)
def test_years_in_words(number: int, words: str) -> None:
    assert year(number) == words


HEARD = {
    "The train leaves at 7:05.": "The train leaves at seven oh five.",
    "It is 7:00.": "It is seven o'clock.",
    "Come at 3.14 p.m. today.": "Come at three fourteen PM today.",
    "Come at 5 p.m. Monday.": "Come at five PM Monday.",
    "From 9:00–9:30 a.m. there is tea.": "From nine to nine thirty a.m. there is tea.",
    "It is -5°C outside.": "It is minus five degrees Celsius outside.",
    "It drives at 20 km/h.": "It drives at twenty kilometers per hour.",
    "It weighs 2.5 kg.": "It weighs two point five kilograms.",
    "It costs $5.50.": "It costs five dollars and fifty cents.",
    "It costs $1.2 million.": "It costs one point two million dollars.",
    "It costs £1.": "It costs one pound.",
    "Fruit, e.g.": "Fruit, for example",
    "Dr. Smith is here.": "Doctor Smith is here.",
    "Mr. Smith is here.": "Mister Smith is here.",
    "He is in St. Louis.": "He is in Saint Louis.",
    "J. R. R. Tolkien wrote it.": "J R R Tolkien wrote it.",
    "It takes 10-15 minutes.": "It takes ten to fifteen minutes.",
    "It lasted 1990-1995.": "It lasted nineteen ninety to nineteen ninety-five.",
    "Add 1 1/2 cups.": "Add one and a half cups.",
    "Add ¾ cup.": "Add three quarters of a cup.",
    "See https://example.com/docs.": "See example dot com slash docs.",
    "It is due on 2024-05-01.": "It is due on May first, twenty twenty-four.",
    "It is due on 1 May 2024.": "It is due on the first of May twenty twenty-four.",
    "It was built in 1883.": "It was built in eighteen eighty-three.",
    "It was built in 1905.": "It was built in nineteen oh five.",
    "It was in the 1990s.": "It was in the nineteen nineties.",
    "It is the 100th time.": "It is the hundredth time.",
    "It is No. 5.": "It is number five.",
    "+49 30 1234567": "plus four nine, three zero, one two three four five six seven",
    "It is 3x faster.": "It is three times faster.",
    "We are open 24/7.": "We are open twenty-four seven.",
    "It has 16 GB of RAM.": "It has sixteen gigabytes of RAM.",
    "There is NO2 in it.": "There is N O two in it.",
    "It was World War II.": "It was World War Two.",
    "Henry VIII was king.": "Henry the eighth was king.",
    "Well... okay.": "Well, okay.",
    "Paris (the capital) is big.": "Paris, the capital, is big.",
    "He is 5'10\" tall.": "He is five foot ten tall.",
}
"""Clauses that espeak reads wrongly, and how they are read out."""

READ_WELL = {
    "It is 7:30 p.m.": "It is seven thirty p.m.",
    "1,234": "one thousand two hundred thirty-four",
    "3.14": "three point one four",
    "the 21st": "the twenty first",
    "H2O": "H two O",
}
"""What spoken_form leaves to espeak, as far as the sounds go."""


def sounds(text: str) -> str:
    """Return the phonemes of espeak, on which the voices are trained, with pauses and without stress."""
    phonemizer = EspeakPhonemizer()
    phonemes = "|".join("".join(sentence) for sentence in phonemizer.phonemize("en-us", text))
    return re.sub("[ˈˌʲ ]", "", unicodedata.normalize("NFC", phonemes))


@pytest.mark.parametrize(("text", "read_out"), HEARD.items(), ids=HEARD)
def test_it_sounds_like_what_a_person_reads_out(text: str, read_out: str) -> None:
    assert sounds(text) != sounds(read_out), "the voice reads this well by itself"
    assert sounds(spoken_form(text)) == sounds(read_out)


@pytest.mark.parametrize(("text", "read_out"), READ_WELL.items(), ids=READ_WELL)
def test_the_voice_reads_what_is_left_to_it(text: str, read_out: str) -> None:
    assert sounds(text) == sounds(spoken_form(text)) == sounds(read_out)


SIGNS = "0123456789$€£%°.,:;/-–—−+~#@&()'\"’ ²³^₂½x=<>→…AIVXapmhkgst٣\n"
PIECES = st.one_of(st.sampled_from([*SAID, *SAID_WELL]), st.text(SIGNS, max_size=12))
LEFT_OVER = re.compile(r"[$€£]\d|\d ?[€£%°]|\d ?(?:km|kg|GB|mph|km/h)\b|://|\d-\d")


@given(st.text(max_size=200))
def test_any_text_is_taken(text: str) -> None:
    assert isinstance(spoken_form(text), str)


@given(st.lists(PIECES, max_size=6).map(" ".join))
def test_any_mixture_of_numbers_and_signs_is_taken(text: str) -> None:
    assert spoken_form(text) == spoken_form(text)


@given(
    st.sampled_from(["Pay {}.", "{} or more", "about {} there", "It was {}, then {}"]),
    st.sampled_from(["${}", "€{}", "£{}", "{}%", "{}°C", "{} km", "{} kg", "{}GB", "{} mph", "{} km/h", "{}-99"]),
    st.one_of(
        st.integers(0, 10**7).map(str),
        st.integers(1000, 10**7).map("{:,}".format),
        st.floats(0, 99).map("{:.2f}".format),
    ),
)
def test_no_number_keeps_a_sign(frame: str, sign: str, number: str) -> None:
    thing = sign.format(number)
    said = spoken_form(frame.format(thing, thing))
    assert not LEFT_OVER.search(said), said


@given(st.lists(st.from_regex(r"[a-z]{2,9}[,;.!?]?", fullmatch=True), max_size=30))
def test_plain_words_stay(words: list[str]) -> None:
    text = " ".join(words)
    unusual = re.compile(r"\b(?:vs|m+hm+|[ck]m|kg|mph)\b|\b(?:approx|dept|avg|max|incl|cf|fig|vol|ch|pp?|ca)\.")
    assert unusual.search(text) or spoken_form(text) == text


@given(st.integers(1010, 2099))
def test_years_have_no_digits_unless_round(number: int) -> None:
    said = spoken_form(f"It was {number}.")
    assert said == f"It was {year(number)}."
    assert not re.search(r"\d", said) or number % 100 < 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It is **20 km/h**, see [this](https://x.org).", "It is 20 kilometers per hour, see this."),
        ("- 5 kg\n- €3\n- 1/2 cup", "5 kilograms, 3 euros, half a cup"),
    ],
)
def test_it_follows_the_removal_of_markdown(text: str, said: str) -> None:
    assert spoken_form(plain(text)) == said
