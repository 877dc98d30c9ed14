"""The list of the routing report, and what the report says of it."""

import asyncio
import re
from pathlib import Path

import pytest

from assistant.router.decision import PRESETS, Preset
from assistant.router.kinds import Kind
from assistant.router.plan import Device
from tests.bench.routing_report import always, questions, report, route, usual_backends

TRAINED = Path(__file__).parent.parent / "data" / "kinds"


def bare(text: str) -> str:
    return re.sub(r"[^\w ]", "", text).casefold()


def test_the_list_has_200_questions_of_all_kinds_that_nobody_was_trained_with() -> None:
    listed = questions()
    assert len({bare(question.text) for question in listed}) == 200
    assert {question.kind for question in listed} == {None, *Kind}
    trained = {bare(line) for file in TRAINED.glob("*.txt") for line in file.read_text(encoding="utf-8").splitlines()}
    assert trained
    assert {bare(question.text) for question in listed} & trained == set()


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_the_report_is_plausible(preset: Preset) -> None:
    backends = usual_backends()
    routed = asyncio.run(route(backends, preset, None, Device()))
    dear, slow = always(max(backends, key=lambda each: each.quality))
    assert len(routed) == 200
    assert sum(each.cost for each in routed) < dear
    assert sum(each.first_audio_s for each in routed) / 200 < slow
    personal = {each.place for each in routed if each.question.kind is Kind.PERSONAL}
    assert personal == ({"lan"} if preset.personal_floor == "lan" else {"device"})
    assert preset.name in report(backends, None, Device(), [preset])
