"""Which utterances are taken for commands: judged by lists of them, one of which was never tuned on.

The lists were written before there was a matcher. `python -m tests.assistant.reflex.test_utterances` prints what is
judged wrongly in the first one.
"""

import asyncio
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.assistant.reflex.house import House

LISTS = Path(__file__).resolve().parents[2] / "data" / "reflexes"
NO_COMMAND = "-"


@dataclass
class Score:
    right: int = 0
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Taken for a command that they aren't."""
    took_ms: list[float] = field(default_factory=list)

    @property
    def precision(self) -> float:
        return self.right / (self.right + len(self.wrong))

    @property
    def recall(self) -> float:
        return self.right / (self.right + len(self.missed))

    @property
    def p95_ms(self) -> float:
        return sorted(self.took_ms)[int(0.95 * len(self.took_ms))]

    def __str__(self) -> str:
        return (
            f"precision {self.precision:.2%}, recall {self.recall:.2%}, p95 {self.p95_ms:.1f} ms of {len(self.took_ms)}"
        )


def written(name: str) -> list[tuple[str, str, str | None]]:
    """Return a list as it was written: intent, utterance, language."""
    return [(intent, utterance, "en") for intent, utterance in rows(name)]


def rows(name: str) -> list[tuple[str, str]]:
    lines = (LISTS / f"{name}.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [(intent, utterance) for intent, utterance in (line.split("\t") for line in lines)]


def heard(name: str) -> dict[str, list[tuple[str, str, str | None]]]:
    """Return what each recogniser heard of a list: intent, words, language."""
    found: dict[str, list[tuple[str, str, str | None]]] = {"moonshine": [], "whisper": []}
    for line in (LISTS / "heard.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        of, intent, _, fast, sure, language = line.split("\t")
        if of == name:
            found["moonshine"].append((intent, fast, None))
            found["whisper"].append((intent, sure, language or None))
    return found


def judge(utterances: list[tuple[str, str, str | None]]) -> Score:
    house = House().warmed("de", "fr", "es")
    asyncio.run(house.say("Set an egg timer for ten minutes"))  # "how much time is left?" is a question then
    score = Score()
    for wanted, utterance, language in utterances:
        began = time.perf_counter()
        reflex = house.match(utterance, language)
        score.took_ms.append(1000 * (time.perf_counter() - began))
        got = NO_COMMAND if reflex is None else reflex.intent
        if got == wanted:
            score.right += got != NO_COMMAND
        elif got == NO_COMMAND:
            score.missed.append(f"{utterance} is {wanted}")
        else:
            score.wrong.append(f"{utterance} is {wanted}, not {got}")
            if wanted != NO_COMMAND:
                score.missed.append(utterance)
    return score


def test_the_lists_are_what_they_should_be() -> None:
    tuned, held_out = rows("tuned"), rows("held_out")
    both = tuned + held_out
    assert len(both) >= 300
    assert not {utterance for _, utterance in tuned} & {utterance for _, utterance in held_out}
    assert len(held_out) / len(both) == pytest.approx(1 / 3, abs=0.01)
    assert sum(intent == NO_COMMAND for intent, _ in both) / len(both) == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize("name", ["tuned", "held_out"])
def test_commands_are_known_and_what_only_sounds_like_one_is_none(name: str) -> None:
    score = judge(written(name))
    print(f"\n{name}: {score}")
    assert score.precision >= 0.99, score.wrong
    assert score.recall >= 0.95, score.missed
    assert score.p95_ms < 50, "ten times what it takes on an idle machine"


@pytest.mark.parametrize("name", ["tuned", "held_out"])
@pytest.mark.parametrize("recogniser", ["moonshine", "whisper"])
def test_commands_are_known_as_recognisers_hear_them(name: str, recogniser: str) -> None:
    score = judge(heard(name)[recogniser])
    print(f"\n{name}, as {recogniser} hears it: {score}")
    assert score.precision >= 0.97, score.wrong
    assert score.recall >= 0.9, score.missed


@pytest.mark.parametrize(
    "said",
    [
        "what time does the train leave",
        "set a timer is what she said",
        "how do I set a timer on my phone",
        "set a timer for five",
        "what time",
        "",
        "   ",
        "?!",
        "set a timer for " + "very " * 100 + "long",
        "set a timer for zero minutes",
        "set a timer for minus five minutes",
        "set a timer for a thousand years",
        "what's {sum}",
        "<timer> [a|b] {name}",
        "1/0",
        "5:61",
        "set an alarm for 25:99",
        "what is 10 to the power of 10 to the power of 10",
        "ten" * 60,
        "remember that",
    ],
)
def test_no_command(said: str) -> None:
    assert House().warmed().match(said) is None


if __name__ == "__main__":
    found = judge(written("tuned"))
    print(*found.missed, *found.wrong, found, sep="\n")
    if "--held-out" in sys.argv:
        print("held out:", judge(written("held_out")))
