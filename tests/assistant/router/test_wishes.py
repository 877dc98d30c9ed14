"""Wishes said aloud: what counts as one, for how long, and what doesn't."""

import pytest

from assistant.router.wishes import NO_WISH, Wish, acknowledgement, wish, wishes
from pipeline.engines import ChatMessage


@pytest.mark.parametrize(
    "text",
    [
        "Use the big brain for this: why is the sky blue?",
        "why is the sky blue? ask the expert",
        "Please ask the large model, how do planes fly?",
        "Take the smarter one for that question: what is entropy?",
        "Nimm dafür das große Gehirn: Warum ist der Himmel blau?",
        "Frag mal das große Modell, wie Flugzeuge fliegen.",
        "Utilise le grand cerveau pour ça : pourquoi le ciel est bleu ?",
        "Usa el cerebro grande para esto: ¿por qué es azul el cielo?",
        "Usa il cervello grande per questo: perché il cielo è blu?",
        "Gebruik hiervoor het grote brein: waarom is de lucht blauw?",
    ],
)
def test_the_big_brain(text: str) -> None:
    assert wish(text) == Wish(big=True)


@pytest.mark.parametrize(
    "text",
    [
        "Keep this between us: I owe my brother money.",
        "Let's keep it between you and me. I owe my brother money.",
        "This stays between us, I lost my job.",
        "Off the record, what is a good lawyer?",
        "Keep that to yourself. I lost my job.",
        "Don’t send this to the cloud: my salary is 3000.",
        "Das bleibt unter uns: Ich habe gekündigt.",
        "Behalt das für dich, ich habe gekündigt.",
        "Ça reste entre nous : j'ai démissionné.",
        "Que esto quede entre nosotros: he dimitido.",
        "Questo resta tra noi: mi sono licenziato.",
        "Dit blijft tussen ons: ik heb ontslag genomen.",
        "Isto fica entre nós: demiti-me.",
    ],
)
def test_between_us(text: str) -> None:
    assert wish(text) == Wish(private=True)


@pytest.mark.parametrize(
    "text",
    [
        "This no longer has to stay between us: what is a lawyer?",
        "Don't keep this between us. What is a lawyer?",
        "You may use the cloud again: what is a lawyer?",
        "It doesn't need to stay private any more. What is a lawyer?",
        "Das muss nicht mehr unter uns bleiben. Was ist ein Anwalt?",
        "Puedes usar la nube otra vez: ¿qué es un abogado?",
    ],
)
def test_taken_back(text: str) -> None:
    assert wish(text) == Wish(private=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Keep this between us.", Wish(private=True, whole=True)),
        ("OK Parley, please keep this between us from now on, thanks!", Wish(private=True, whole=True)),
        ("Hey, could you use the big brain for the next question, please?", Wish(big=True, whole=True)),
        ("Das bleibt jetzt bitte unter uns.", NO_WISH),  # too far from what is known: better none than a wrong one
        ("You can use the cloud again.", Wish(private=False, whole=True)),
        ("Use the big brain, and keep this between us.", Wish(big=True, private=True, whole=True)),
    ],
)
def test_nothing_but_a_wish(text: str, expected: Wish) -> None:
    assert wish(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What is the capital of France?",
        "Which animal has a big brain?",
        "How big is the brain of a whale?",
        "What is the difference between us and them?",
        "Between us there were ten apples. How many are left?",
        "What does a private investigator do?",
        "Is it legal to record a call?",
        "How do I keep bread fresh?",
        "The largest model of the car is red.",
        "Who wrote the book about the expert?",
    ],
)
def test_what_only_sounds_like_one(text: str) -> None:
    assert wish(text) is NO_WISH


def said(*texts: str) -> list[ChatMessage]:
    return [message for text in texts for message in (ChatMessage("user", text), ChatMessage("assistant", "Yes."))][:-1]


def test_privacy_holds_until_it_is_taken_back() -> None:
    assert not wishes(said("Hello."), private=False).private
    assert wishes(said("Keep this between us.", "Hello.", "And now?"), private=False).private
    assert not wishes(said("Keep this between us.", "You can use the cloud again.", "Hi."), private=False).private
    assert wishes(said("Hello."), private=True).private
    assert not wishes(said("You can use the cloud again."), private=True).private


def test_the_big_brain_holds_for_one_turn() -> None:
    assert wishes(said("Use the big brain: why?"), private=False).big
    assert not wishes(said("Use the big brain: why?", "And now?"), private=False).big
    assert wishes(said("Use the big brain.", "Why?"), private=False).big
    assert not wishes(said("Use the big brain.", "Why?", "And now?"), private=False).big


def test_nobody_said_anything() -> None:
    assert wishes([], private=False).only is None


@pytest.mark.parametrize(
    ("only", "language", "begins"),
    [
        (Wish(private=True, whole=True), None, "All right, this stays between us."),
        (Wish(private=True, whole=True), "de", "Gut, das bleibt unter uns."),
        (Wish(private=False, whole=True), "fr", "D'accord, je peux"),
        (Wish(big=True, whole=True), "xx", "All right. What's the question?"),
        (Wish(big=True, private=True, whole=True), "en-GB", "All right, this stays"),
    ],
)
def test_it_is_acknowledged(only: Wish, language: str | None, begins: str) -> None:
    assert acknowledgement(only, language).startswith(begins)
