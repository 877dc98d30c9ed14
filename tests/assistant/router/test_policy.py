"""Who answers: constraints that no score outweighs, and scores that make sense."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.router.decision import FAR, PRESETS, Candidate, Constraint, Decision, Need, Preset, floor
from assistant.router.kinds import Guess, Kind
from assistant.router.policy import decide

PLACES = st.sampled_from(["device", "lan", "cloud"])
NUMBERS = st.floats(0, 1000)

CANDIDATES = st.builds(
    Candidate,
    name=st.sampled_from("abcdefgh"),
    place=PLACES,
    vision=st.booleans(),
    tools=st.booleans(),
    json=st.booleans(),
    context_tokens=st.integers(1, 10_000),
    quality=st.floats(0, 1),
    first_token_s=st.none() | NUMBERS,
    cost=st.just(0.0) | NUMBERS,
    weight=st.floats(0.1, 10),
    outstanding=st.integers(0, 50),
    over_budget=st.none() | st.just("it is spent"),
    unwell=st.none() | st.just("it is down"),
)
NEEDS = st.builds(
    Need,
    guess=st.builds(Guess, st.sampled_from(Kind), st.floats(0, 1)),
    tokens=st.integers(0, 12_000),
    vision=st.booleans(),
    tools=st.booleans(),
    json=st.booleans(),
    private=st.booleans(),
    big=st.booleans(),
    named=st.sampled_from(["", "a", "b"]),
)
PRESET = st.builds(
    Preset,
    name=st.just("mine"),
    floor=PLACES,
    personal_floor=PLACES,
    quality=NUMBERS,
    speed=NUMBERS,
    cost=NUMBERS,
    leaving=NUMBERS,
)


@given(NEEDS, st.lists(CANDIDATES, max_size=8), PRESET)
def test_no_score_outweighs_a_constraint(need: Need, candidates: list[Candidate], preset: Preset) -> None:
    decision = decide(need, candidates, preset)
    farthest = "device" if need.private else preset.floor
    for choice in decision.order:
        chosen = choice.candidate
        assert FAR[chosen.place] <= FAR[farthest]
        if need.guess.kind is Kind.PERSONAL:
            assert FAR[chosen.place] <= FAR[preset.personal_floor]
        assert (chosen.vision, chosen.tools, chosen.json) >= (False, False, False)
        assert chosen.vision or not need.vision
        assert chosen.tools or not need.tools
        assert chosen.json or not need.json
        assert chosen.context_tokens >= need.tokens
        assert chosen.over_budget is chosen.unwell is None


@given(NEEDS, st.lists(CANDIDATES, max_size=8), PRESET)
def test_everybody_is_chosen_or_refused_and_each_has_a_reason(
    need: Need, candidates: list[Candidate], preset: Preset
) -> None:
    decision = decide(need, candidates, preset)
    everybody = [each.candidate for each in decision.order] + [each.candidate for each in decision.refused]
    assert sorted(everybody, key=repr) == sorted(candidates, key=repr)
    for reason in [each.reason for each in decision.order] + [each.reason for each in decision.refused]:
        assert reason.endswith(".")
        assert ".." not in reason


@given(NEEDS, st.lists(CANDIDATES, max_size=8), PRESET)
def test_the_first_constraint_is_the_one_that_is_told(need: Need, candidates: list[Candidate], preset: Preset) -> None:
    for refusal in decide(need, candidates, preset).refused:
        one = refusal.candidate
        broken = {
            Constraint.PRIVACY: FAR[one.place] > FAR[floor(need, preset)],
            Constraint.ABILITIES: need.vision > one.vision or need.tools > one.tools or need.json > one.json,
            Constraint.CONTEXT: need.tokens > one.context_tokens,
            Constraint.BUDGET: one.over_budget is not None,
            Constraint.HEALTH: one.unwell is not None,
        }
        assert refusal.constraint is next(each for each in Constraint if broken[each])


DEVICE = Candidate(
    "device", "device", vision=False, tools=True, json=True, context_tokens=4096, quality=0.3, first_token_s=0.25
)
HOUSE = Candidate(
    "house", "lan", vision=False, tools=True, json=True, context_tokens=32_000, quality=0.65, first_token_s=0.5
)
CLOUD = Candidate(
    "cloud",
    "cloud",
    vision=True,
    tools=True,
    json=True,
    context_tokens=128_000,
    quality=0.95,
    first_token_s=0.75,
    cost=0.001,
)
ALL = (DEVICE, HOUSE, CLOUD)


def decided(kind: Kind, preset: str = "balanced", *candidates: Candidate, **need: object) -> Decision:
    asked = Need(Guess(kind), 100, **need)  # type: ignore[arg-type]
    return decide(asked, candidates or ALL, PRESETS[preset])


@pytest.mark.parametrize(
    ("preset", "kind", "first"),
    [
        ("private", Kind.REASONING, "device"),
        ("balanced", Kind.CHAT, "device"),
        ("balanced", Kind.HOME, "device"),
        ("balanced", Kind.PERSONAL, "device"),
        ("balanced", Kind.FACT, "cloud"),
        ("balanced", Kind.REASONING, "cloud"),
        ("balanced", Kind.CODE, "cloud"),
        ("best", Kind.CHAT, "cloud"),
        ("best", Kind.PERSONAL, "house"),
        ("cheap", Kind.CHAT, "device"),
        ("cheap", Kind.FACT, "house"),
        ("cheap", Kind.REASONING, "cloud"),
    ],
)
def test_presets(preset: str, kind: Kind, first: str) -> None:
    assert decided(kind, preset).order[0].candidate.name == first


def test_a_dear_model_is_not_worth_it_for_a_fact() -> None:
    dear = replace(CLOUD, cost=0.05)
    assert decided(Kind.FACT, "balanced", DEVICE, HOUSE, dear).order[0].candidate is HOUSE
    assert decided(Kind.FACT, "best", DEVICE, HOUSE, dear).order[0].candidate is dear


def test_a_slow_model_is_not_worth_it_for_a_fact() -> None:
    slow = replace(CLOUD, first_token_s=3.0)
    assert decided(Kind.FACT, "balanced", DEVICE, HOUSE, slow).order[0].candidate is HOUSE


def test_wishes_outweigh_scores_and_no_constraint() -> None:
    assert decided(Kind.CHAT, "balanced", big=True).order[0].candidate is CLOUD
    assert decided(Kind.CHAT, "balanced", big=True, private=True).order[0].candidate is DEVICE
    assert decided(Kind.CODE, "balanced", named="house").order[0].candidate is HOUSE
    assert decided(Kind.CODE, "private", named="house").order[0].candidate is DEVICE


def test_backends_that_are_alike_share_the_work() -> None:
    busy, idle = replace(CLOUD, name="busy", outstanding=3), replace(CLOUD, name="idle", outstanding=1)
    assert [each.candidate.name for each in decided(Kind.CODE, "balanced", busy, HOUSE, idle).order] == [
        "idle",
        "busy",
        "house",
    ]
    strong = replace(busy, weight=4.0)
    assert decided(Kind.CODE, "balanced", idle, strong).order[0].candidate is strong
    quick = replace(idle, name="quick", first_token_s=0.2)
    assert decided(Kind.CODE, "balanced", idle, quick).order[0].candidate is quick


def test_doubt_moves_a_turn_towards_the_middle() -> None:
    sure, unsure = Need(Guess(Kind.CHAT, 1.0), 100), Need(Guess(Kind.CHAT, 0.1), 100)
    assert decide(sure, ALL, PRESETS["balanced"]).order[0].candidate is DEVICE
    assert decide(unsure, ALL, PRESETS["balanced"]).order[0].candidate is CLOUD


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (decided(Kind.FACT), "A question of fact: cloud knows best (sound in about 0.9 s, for about 0.1 cents)."),
        (
            decided(Kind.CHAT),
            "Small talk: device is good enough, and sooner, cheaper and closer to home (sound in about 0.4 s, free).",
        ),
        (decided(Kind.CHAT, big=True), "You asked for the big brain: cloud is the best that may be asked."),
        (decided(Kind.CHAT, named="house"), "You asked for house."),
        (decided(Kind.CHAT, "balanced", DEVICE), "There is no other model."),
        (
            decided(Kind.FACT, private=True),
            "Nobody else may be asked. cloud: this conversation stays on this machine, as you asked.",
        ),
        (
            decided(Kind.PERSONAL),
            "Nobody else may be asked. cloud: it is personal, and such things don't leave this machine.",
        ),
        (
            decided(Kind.FACT, "private"),
            "Nobody else may be asked. cloud: with “private”, nothing leaves this machine.",
        ),
        (
            decided(Kind.CODE, "balanced", CLOUD, replace(CLOUD, name="twin", outstanding=1)),
            "This is about code: cloud is as good as twin, and less busy or quicker "
            "(sound in about 0.9 s, for about 0.1 cents).",
        ),
        (
            decided(Kind.CHAT, "balanced", DEVICE, replace(CLOUD, cost=0, first_token_s=0.25)),
            "Small talk: device is good enough, and closer to home (sound in about 0.4 s, free).",
        ),
    ],
)
def test_reasons(decision: Decision, reason: str) -> None:
    assert decision.order[0].reason == reason


@pytest.mark.parametrize(
    ("candidate", "need", "reason"),
    [
        (CLOUD, {"private": True}, "cloud: this conversation stays on this machine, as you asked."),
        (HOUSE, {"vision": True}, "house: it can't take pictures."),
        (
            replace(HOUSE, tools=False),
            {"vision": True, "tools": True},
            "house: it can't take pictures or call functions.",
        ),
        (replace(HOUSE, context_tokens=50), {}, "house: the conversation has about 100 tokens, and it holds 50."),
        (replace(HOUSE, over_budget="today's 1.00 is spent."), {}, "house: today's 1.00 is spent."),
        (replace(HOUSE, unwell="it didn't answer three times"), {}, "house: it didn't answer three times."),
    ],
)
def test_refusals(candidate: Candidate, need: dict[str, bool], reason: str) -> None:
    (refusal,) = decided(Kind.FACT, "balanced", candidate, **need).refused
    assert refusal.reason == reason


def test_a_missed_backend_is_one_elsewhere() -> None:
    decision = decided(Kind.FACT, "balanced", replace(DEVICE, unwell="broken"), replace(CLOUD, unwell="down"), HOUSE)
    assert [each.name for each in decision.missed(Constraint.HEALTH)] == ["cloud"]
