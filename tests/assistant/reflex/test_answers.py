"""What reflexes answer, and what they change."""

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from assistant.reflex.clock import zone_named
from assistant.reflex.reflexes import Reflexes
from assistant.reflex.sentences import SentencesError, find_language, languages, sentences
from pipeline.engines import Adjusted, Asker
from pipeline.errors import ParleyError
from tests.assistant.reflex.house import House


@pytest.mark.parametrize(
    ("language", "said", "answer"),
    [
        ("en", "What time is it?", "It's 4:20 PM."),
        (None, "what time is it", "It's 4:20 PM."),
        ("en", "wat's the time", "It's 4:20 PM."),
        ("en", "What time is it in New York?", "It's 10:20 AM in New York."),
        ("en", "What time is it in Atlantis?", None),
        ("en", "What's the date?", "It's Tuesday, November 24th, 2026."),
        ("en", "What day is it?", "It's Tuesday, November 24th."),
        ("en", "What day is tomorrow?", "Tomorrow is Wednesday, November 25th."),
        ("en", "What year is it?", "It's 2026."),
        ("de", "Wie spät ist es?", "Es ist 16 Uhr 20."),
        ("de", "what time is it", "It's 4:20 PM."),  # a few words are often taken for another language's
        ("de", "Welcher Tag ist heute?", "Es ist Dienstag der 24. November 2026"),
        ("fr", "Quelle heure est-il ?", "Il est 16 heures 20."),
        ("fr", "Quel jour sommes-nous ?", "Nous sommes le 24 novembre 2026"),
        ("es", "¿Qué hora es?", "Son las 16 y 20."),
        ("es", "¿Qué día es hoy?", "Es martes, 24 de noviembre de 2026"),
        ("de", "Stopp", ""),
        ("fr", "Arrête", ""),
        ("es", "Para", ""),
        ("xx", "What time is it?", "It's 4:20 PM."),
    ],
)
def test_time_and_date(house: House, language: str | None, said: str, answer: str | None) -> None:
    assert asyncio.run(house.say(said, language)) == answer


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("What's seventeen times twenty four?", "17 times 24 is 408."),
        ("what is fifteen percent of eighty", "15 percent of 80 is 12."),
        ("What's 20% off 50?", "20 percent off 50 is 40."),
        ("What's two plus three times four?", "2 plus 3 times 4 is 14."),
        ("What's ten divided by three?", "10 divided by 3 is about 3.333."),
        ("What's 5 divided by 0?", "Nothing can be divided by zero."),
        ("What is 0.1 plus 0.2?", "0.1 plus 0.2 is 0.3."),
        ("What is the square root of two?", "The square root of 2 is about 1.414."),
        ("What's 3 minus 10?", "3 minus 10 is -7."),
        ("What's a million times a million?", "1,000,000 times 1,000,000 is 1,000,000,000,000."),
        ("How many cups are in two litres?", "2 liters are about 8.454 cups."),
        ("How many minutes are in a day?", "1 day is 1,440 minutes."),
        ("What's 20 degrees Celsius in Fahrenheit?", "20 degrees Celsius is 68 degrees Fahrenheit."),
        ("What is 5 foot 10 in centimeters?", "5 feet 10 is 177.8 centimeters."),
        ("Convert two kilos to miles", None),
        ("How many cups are in two cups?", None),
        ("What's two plus two, please?", "2 plus 2 is 4."),
        ("Convert two miles to feet for me, please.", "2 miles are 10,560 feet."),
    ],
)
def test_sums_and_units(house: House, said: str, answer: str | None) -> None:
    assert asyncio.run(house.say(said)) == answer


def test_volume_goes_up_and_down_from_where_it_is(house: House) -> None:
    async def adjusted(said: str, session: str = "kitchen") -> tuple[str | None, Adjusted | None]:
        reflex = house.match(said, session=session)
        if reflex.act:
            await reflex.act()
        return reflex.words, reflex.adjust

    async def talk() -> None:
        assert await adjusted("Louder") == ("That's as loud as I can speak.", None)
        assert await adjusted("Quieter") == ("Okay.", Adjusted(volume=0.8))
        assert await adjusted("Turn it down") == ("Okay.", Adjusted(volume=0.6))
        assert await adjusted("Quieter", "bedroom") == ("Okay.", Adjusted(volume=0.8))
        assert await adjusted("Set the volume to thirty percent") == ("Volume 30 percent.", Adjusted(volume=0.3))
        assert await adjusted("Mute") == ("", Adjusted(volume=0.0))
        assert await adjusted("Speak slower") == ("Okay.", Adjusted(speed=0.85))
        assert await adjusted("Speak at normal speed") == ("Okay.", Adjusted(speed=1.0))
        assert await adjusted("Speak at normal speed") == ("Okay.", None)

    asyncio.run(talk())


def test_an_adjustment_that_is_not_committed_is_forgotten(house: House) -> None:
    house.match("Quieter")
    assert house.match("Quieter").adjust == Adjusted(volume=0.8)


def test_the_voices_of_old_sessions_are_forgotten(house: House) -> None:
    async def talk() -> None:
        for number in range(300):
            await house.match("Quieter", session=f"{number}").act()

    asyncio.run(talk())
    assert house.match("Quieter", session="0").adjust == Adjusted(volume=0.8)
    assert house.match("Quieter", session="299").adjust == Adjusted(volume=0.6)


def test_what_it_can_do_is_said_without_a_model(house: House) -> None:
    assert house.match("What can you do?").words.startswith("I tell the time and the date, set timers,")
    assert house.match("What can you do about climate change?") is None


def test_repeat_says_what_was_said_last(house: House) -> None:
    assert house.match("Say that again").words == "I haven't said anything yet."
    house.said_last = "Rome."
    assert house.match("Say that again").words == "Rome."


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Remember that my sister's name is Anna.", "I'll remember that my sister's name is Anna."),
        ("Remember that the car is parked on level three.", "I'll remember that the car is parked on level three."),
        ("Remember that time in Paris?", None),
        ("Remember that you promised?", None),
        ("Forget that I like tea.", "I've forgotten I like tea."),
        ("Forget about it.", None),
        ("What do you know about me?", "You like tea."),
        ("What did you send today?", "Nothing."),
    ],
)
def test_what_other_parts_plug_in(house: House, said: str, answer: str | None) -> None:
    assert asyncio.run(house.say(said)) == answer


def test_only_what_changes_nothing_is_asked_before_the_commit(house: House) -> None:
    assert house.match("What do you know about me?").act is None
    assert house.match("Remember that I like tea").reads is None


def test_a_language_is_loaded_aside_when_it_is_first_heard(house: House) -> None:
    before = house.match("Hoe laat is het?", "nl")
    house.reflexes._loading["nl"].result()
    assert house.match("Hoe laat is het?", "nl").words == "Het is 16:20"
    assert before is None or before.words == "Het is 16:20"  # another test may have loaded it
    house.reflexes.close()


def test_the_sentences_of_all_languages_can_be_used() -> None:
    assert len(languages()) >= 60
    for language in sorted(languages()):
        list(sentences(language).matches("12 5"))


@pytest.mark.parametrize(
    ("wanted", "found"), [("en", "en"), ("pt", "pt"), ("pt_BR", "pt-BR"), ("zh", "zh-CN"), ("no", "nb"), ("xx", None)]
)
def test_a_language_is_found_by_its_code(wanted: str, found: str | None) -> None:
    assert find_language(wanted) == found


def test_a_file_of_sentences_that_is_wrong_is_named(tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.setattr("assistant.reflex.sentences.SENTENCES", tmp_path)
    folder = tmp_path / "kw"
    folder.mkdir()
    for text, complaint in (("a: [", "isn't valid YAML"), ("language: de", 'doesn\'t say "language: kw"')):
        (folder / "wrong.yaml").write_text(text)
        sentences.cache_clear()
        with pytest.raises(SentencesError, match=complaint):
            sentences("kw")
    for sentence, complaint in (
        ("(a", "can't be used"),
        ("a {b}", "there is no list {b}"),
        ("<c>", "there is no rule <c>"),
    ):
        (folder / "wrong.yaml").write_text(f'language: kw\nintents: {{A: {{data: [{{sentences: ["{sentence}"]}}]}}}}')
        with pytest.raises(SentencesError, match=complaint):
            sentences("kw")
    reflexes = Reflexes({})
    reflexes.load("kw")
    reflexes._loading["kw"].result()
    assert reflexes.match("a", language="kw", asker=Asker(), said_last="") is None
    assert "there is no rule <c>" in caplog.text
    sentences.cache_clear()


def test_a_time_zone_that_is_wrong_is_named() -> None:
    with pytest.raises(ParleyError, match=r"\[reflexes\] timezone: there is no time zone 'Europe/Atlantis'"):
        zone_named("Europe/Atlantis")
    assert zone_named("Asia/Tokyo") == ZoneInfo("Asia/Tokyo")
    assert datetime.now(UTC).astimezone(zone_named("")).tzinfo is not None
