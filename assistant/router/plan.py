"""From a request to what a policy needs to know of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from assistant.router.decision import Candidate, Need
from assistant.router.kinds import Guess, Kind
from assistant.router.parts import Backend, Budgets
from assistant.router.sending import price, tokens
from assistant.router.wishes import Wishes
from pipeline.engines import ChatMessage, ChatRequest

_ANSWER_TOKENS: Final = 256
"""What an answer may need of the context, and is expected to cost, at most: limits are set far beyond what is said."""

_SPOKEN_TOKENS: Final = 80


@dataclass(frozen=True, slots=True)
class Device:
    """The embedded model, as a backend among others."""

    name: str = "device"
    quality: float = 0.3
    context_tokens: int = 4096
    first_token_s: float | None = None

    def candidate(self, *, vision: bool) -> Candidate:
        """Return it for the policy."""
        return Candidate(
            self.name,
            "device",
            vision=vision,
            tools=True,
            json=True,
            context_tokens=self.context_tokens,
            quality=self.quality,
            first_token_s=self.first_token_s,
            embedded=True,
        )


def question(messages: Sequence[ChatMessage]) -> ChatMessage:
    """Return the last message of the user's, an empty one where there is none."""
    return next((each for each in reversed(messages) if each.role == "user"), ChatMessage("user", ""))


def said_last(messages: Sequence[ChatMessage]) -> str:
    """Return the assistant's last words."""
    return next((each.content for each in reversed(messages) if each.role == "assistant" and each.content), "")


def need(request: ChatRequest, guess: Guess, wishes: Wishes, named: str, *, sees: bool = False) -> Need:
    """Return what this turn needs; `sees`: somebody should look at what the camera shows."""
    shown = any(message.pictures for message in request.messages)
    asks = bool(question(request.messages).pictures)
    return Need(
        guess=Guess(Kind.CAMERA) if (asks or sees) and guess.kind is not Kind.PERSONAL else guess,
        tokens=tokens(request.messages, request.toolbox) + min(request.max_tokens, _ANSWER_TOKENS),
        vision=asks or sees or (shown and guess.kind is Kind.CAMERA),
        tools=request.toolbox.may_call,
        json=request.sampling is not None and request.sampling.schema is not None,
        private=wishes.private,
        big=wishes.big,
        named=named,
    )


def candidate(backend: Backend, request: ChatRequest, kind: Kind, budgets: Budgets | None) -> Candidate:
    """Return a backend as it is at this moment, for a turn of this kind."""
    answer = min(request.max_tokens, _SPOKEN_TOKENS if request.spoken else _ANSWER_TOKENS)
    cost = price(backend, tokens(request.messages, request.toolbox), answer)
    return Candidate(
        backend.name,
        backend.place,
        vision=backend.vision,
        tools=backend.tools,
        json=backend.json,
        context_tokens=backend.context_tokens,
        quality=backend.quality_of(kind),
        first_token_s=backend.first_token_s(0.5),
        cost=cost,
        weight=backend.weight,
        outstanding=backend.outstanding,
        over_budget=None if budgets is None else budgets.allows(backend.name, cost),
        unwell=backend.unwell,
    )


def with_facts(request: ChatRequest, facts: Sequence[str]) -> ChatRequest:
    """Return it with what is known of the person, behind the question: what is before it has been read already."""
    if not facts or request.messages[-1].role != "user":
        return request
    last = request.messages[-1]
    # Small models answer in the first person what stands there in the third, or in a list.
    told = replace(last, content=f"{last.content} (I told you: {' '.join(facts)})")
    return replace(request, messages=(*request.messages[:-1], told))
