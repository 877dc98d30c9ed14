"""The router: the language model that a conversation talks to, whoever answers.

Reflexes first, without a model. Then a policy says who may be asked, and in which order (see policy.py). What the
model on this machine answers is begun at once, as a guess; nothing is sent elsewhere before the turn is committed.
"""

import logging
import math
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final

from assistant.router.answering import NobodyAnsweredError
from assistant.router.conversations import Conversation, Conversations
from assistant.router.decision import FAR, PRESETS, Candidate, Choice, Decision, Need, Preset
from assistant.router.kinds import Guess, Kind
from assistant.router.looking import ask_here, asks_to_see, goes_on, sees
from assistant.router.notices import Notice, words
from assistant.router.parts import Backend, Budgets, Classifier, Ledger, Masks, Recall, Reflex, Reflexes
from assistant.router.plan import Device, candidate, need, question, said_last, with_facts
from assistant.router.policy import decide
from assistant.router.routed_turn import RoutedTurn, Turn
from assistant.router.sending import Sender
from assistant.router.tools import ASK_EXPERT, ASK_LOCAL, ServerTool, WatchFor, asking, eyes, offered
from assistant.router.wishes import Wish, Wishes, acknowledgement, wishes
from assistant.router.withholding import exchanges
from pipeline.engines import (
    Asker,
    ChatMessage,
    ChatRequest,
    Finish,
    Generated,
    LanguageModel,
    Routed,
    TextDelta,
)

log = logging.getLogger(__name__)

_NOTHING_SPENT: Final = Finish("stop", 0, 0, 0)
_UNKNOWN: Final = Guess(Kind.CHAT, 0.0)
_PERHAPS_PERSONAL: Final = Guess(Kind.PERSONAL, 0.0)
"""What nobody can tell must not be told to strangers."""

_MOST_GUESSES: Final = 2000
_EXPERT: Final = "Answer in one to three plain sentences. Another assistant passes your answer on to a person."
_DELEGATED_TOKENS: Final = 250


@dataclass(frozen=True, slots=True)
class Parts:
    """What the router works with; each is optional."""

    backends: Sequence[Backend] = ()
    reflexes: Reflexes | None = None
    classifier: Classifier | None = None
    recall: Recall | None = None
    masks: Masks | None = None
    ledger: Ledger | None = None
    budgets: Budgets | None = None
    tools: Sequence[ServerTool] = ()
    watch_for: WatchFor | None = None


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """How it routes."""

    preset: Preset = PRESETS["balanced"]
    presets: Mapping[str, Preset] = field(default_factory=lambda: dict(PRESETS))
    """Those that a request may ask for by name."""
    device: Device = field(default_factory=Device)
    blur_faces: bool = True
    """Faces are made unrecognisable in what the camera shows before it goes to the cloud."""
    bridges: bool = True
    bridge_after_s: float = 0.7
    """A spoken answer that takes longer is bridged."""


class Router:
    """Routes each turn; a LanguageModel itself. Without any parts, it is the embedded model."""

    def __init__(self, embedded: LanguageModel, parts: Parts, settings: RouterSettings | None = None) -> None:
        self._embedded = embedded
        self._parts = parts
        self._settings = settings or RouterSettings()
        self._backends = {backend.name: backend for backend in parts.backends}
        self._sender = Sender(parts.masks, parts.ledger)
        self._conversations = Conversations()
        # The same words are asked about again: when a guess becomes sure, and as part of later turns.
        self._guesses: OrderedDict[str, Guess] = OrderedDict()

    @property
    def takes_pictures(self) -> bool:
        """Whether anybody does."""
        return self._embedded.takes_pictures or any(backend.vision for backend in self._parts.backends)

    async def prefill(self, request: ChatRequest) -> float | None:
        """Let the embedded model read along, whoever will answer: it tells how finished the words are.

        A whole command needs no model to tell.
        """
        if self._reflex(request) is not None:
            return 1.0
        preset = self._preset(request.asker.route)
        if self._backends:
            request = replace(request, toolbox=offered(request.toolbox, self._tools(preset, None), "device"))
        return await self._embedded.prefill(request)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        """Answer. Raises what the last backend that could be asked raises."""
        if (reflex := self._reflex(request)) is not None:
            answer = self._react(reflex, request)
        elif not self._backends:
            answer = self._alone(request)
        else:
            answer = await self._route(request)
        async with aclosing(answer):
            async for piece in answer:
                yield piece

    # --- Without a choice ---

    def _reflex(self, request: ChatRequest) -> Reflex | None:
        """Return the reflex that the words ask for; programs that ask for a completion get one."""
        messages, asker = request.messages, request.asker
        if self._parts.reflexes is None or not asker.session or not messages or messages[-1].role != "user":
            return None
        if messages[-1].pictures or request.toolbox.choice not in {"auto", "none"}:
            return None
        return self._parts.reflexes.match(
            messages[-1].content, language=asker.language, asker=asker, said_last=said_last(messages)
        )

    async def _react(self, reflex: Reflex, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        yield Routed("reflex", "device", f"No model is needed for this ({reflex.intent}).", reflex.intent)
        said = False
        for words_ in (reflex.words, None if reflex.reads is None else await reflex.reads()):
            if words_:
                yield TextDelta(f" {words_}" if said else words_)
                said = True
        if reflex.act is not None or reflex.adjust is not None:
            await request.committed()
        if reflex.adjust is not None:
            yield reflex.adjust
        if reflex.act is not None and (more := await reflex.act()):
            yield TextDelta(f" {more}" if said else more)
        yield _NOTHING_SPENT

    async def _alone(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        yield Routed(self._settings.device.name, "device", "There is no other model.")
        looks_for = await self._looks_for(request, None)
        request = with_facts(request, await self._facts(request))
        async with aclosing(ask_here(self._embedded, request, looks_for)) as pieces:
            async for piece in pieces:
                yield piece

    # --- With one ---

    async def _route(self, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        conversation = self._conversations.of(request.asker.session)
        wanted = wishes(request.messages, private=conversation.private)
        last = request.messages[-1] if request.messages else ChatMessage("user", "")
        if wanted.only is not None and last.role == "user" and request.asker.session:
            return self._acknowledge(wanted.only, request, conversation)
        route = request.asker.route
        named = route if route in {*self._backends, self._settings.device.name} else ""
        if named and not request.asker.session:
            # A program has decided that itself.
            asked = need(request, _UNKNOWN, wanted, named)
            return self._answer(_only(named, self._turn(request, asked, self._preset(route), (), conversation)))
        preset = self._preset(route)
        farthest = "device" if wanted.private else preset.floor
        # Where no backend may be asked anyway, nobody need know what kind of turn it is.
        free = any(FAR[backend.place] <= FAR[farthest] for backend in self._parts.backends)
        guess = await self._guess(question(request.messages).content) if free else _UNKNOWN
        if free and not request.asker.session:
            # What a program asks is one whole: where something of it stays here, all of it does.
            wanted = replace(wanted, private=any(wanted.between_us))
            guess = Guess(Kind.PERSONAL) if any(await self._personal(request)) else guess
        looks_for = await self._looks_for(request, guess if free else None)
        asked = need(request, guess, wanted, named, sees=sees(request, looks_for))
        turn = self._turn(request, asked, preset, await self._facts(request), conversation)
        turn = replace(turn, looks_for=looks_for)
        if request.asker.session and any(choice.candidate.place != "device" for choice in turn.decision.order):
            turn = replace(
                turn,
                between_us=exchanges(request.messages, wanted.between_us),
                personal=exchanges(request.messages, [*(await self._personal(request))[:-1], False]),
            )
        return self._answer(turn)

    async def _personal(self, request: ChatRequest) -> list[bool]:
        """Return of each of the user's messages whether it is personal."""
        said = [message.content for message in request.messages if message.role == "user"]
        return [(await self._guess(text)).kind is Kind.PERSONAL for text in said]

    async def _looks_for(self, request: ChatRequest, guess: Guess | None) -> str:
        """Return the question, where it is about what the camera shows; `guess`: its kind, where that is known."""
        view, asked = request.view, question(request.messages)
        if view is None or asked.pictures or request.illustrated is not None or not asked.content:
            return ""
        if not view.on:
            shown = any(message.pictures for message in request.messages)  # it may be about one of those
            return asked.content if asks_to_see(asked.content) and not shown else ""
        if asks_to_see(asked.content) or (guess or await self._guess(asked.content)).kind is Kind.CAMERA:
            return asked.content
        before = [message.content for message in request.messages if message.role == "user"][:-1]
        return asked.content if before and goes_on(asked.content) and asks_to_see(before[-1]) else ""

    async def _answer(self, turn: Turn) -> AsyncGenerator[Generated, None]:
        request, conversation = turn.request, turn.conversation
        if not turn.decision.order and turn.need.vision:
            device = self._settings.device.name
            yield Routed(device, "device", turn.decision.refused[0].reason, turn.need.guess.kind)
            yield TextDelta(words(Notice.BLIND, request.asker.language))
            yield _NOTHING_SPENT
            return
        async with aclosing(self._routed(turn).answer()) as pieces:
            async for piece in pieces:
                if isinstance(piece, Finish) and turn.need.private != conversation.private:
                    await request.committed()
                    conversation.private = turn.need.private
                yield piece

    async def _acknowledge(
        self, only: Wish, request: ChatRequest, conversation: Conversation
    ) -> AsyncGenerator[Generated, None]:
        yield Routed("reflex", "device", "You said who should answer.")
        yield TextDelta(acknowledgement(only, request.asker.language))
        await request.committed()
        conversation.private = conversation.private if only.private is None else only.private
        yield _NOTHING_SPENT

    def _turn(
        self, request: ChatRequest, asked: Need, preset: Preset, facts: tuple[str, ...], conversation: Conversation
    ) -> Turn:
        candidates = self._candidates(request, asked.guess.kind)
        decision = decide(asked, candidates, preset)
        if asked.vision and request.view is not None:
            # Whoever can't look at it is told in words what there is to see.
            told = decide(replace(asked, vision=False), candidates, preset)
            lookers = {choice.candidate.name for choice in decision.order}
            asked = replace(asked, vision=bool(lookers))
            others = tuple(choice for choice in told.order if choice.candidate.name not in lookers)
            decision = Decision((*decision.order, *others), decision.refused if lookers else told.refused)
        if not decision.order and not asked.vision:
            # Better a poor answer than none: and what it can't do, the model says itself.
            here = self._settings.device.candidate(vision=self._embedded.takes_pictures)
            reason = " ".join(refusal.reason for refusal in decision.refused)
            decision = Decision((Choice(here, reason, 0.0),), decision.refused)
        return Turn(request, asked, preset, decision, facts, conversation)

    def _candidates(self, request: ChatRequest, kind: Kind) -> list[Candidate]:
        here = self._settings.device.candidate(vision=self._embedded.takes_pictures)
        return [here, *(candidate(each, request, kind, self._parts.budgets) for each in self._parts.backends)]

    def _routed(self, turn: Turn, *, delegated: bool = False) -> RoutedTurn:
        return RoutedTurn(
            turn,
            self._embedded,
            self._backends,
            self._sender,
            self._conversations,
            tools=() if delegated else self._tools(turn.preset, turn),
            blur_faces=self._settings.blur_faces,
            bridge_after_s=self._settings.bridge_after_s if self._settings.bridges and not delegated else math.inf,
            delegated=delegated,
        )

    def _preset(self, route: str) -> Preset:
        return self._settings.presets.get(route, self._settings.preset)

    async def _guess(self, text: str) -> Guess:
        if not text:
            return _UNKNOWN
        if self._parts.classifier is None:
            return _PERHAPS_PERSONAL
        if (known := self._guesses.get(text)) is not None:
            return known
        try:
            guess = await self._parts.classifier.kind(text)
        except Exception as error:  # noqa: BLE001 - the turn goes on without it
            log.warning("The kind of a turn could not be told: %s", type(error).__name__)
            return _PERHAPS_PERSONAL
        self._guesses[text] = guess
        if len(self._guesses) > _MOST_GUESSES:
            self._guesses.popitem(last=False)
        return guess

    async def _facts(self, request: ChatRequest) -> tuple[str, ...]:
        text = question(request.messages).content
        if self._parts.recall is None or not request.asker.session or not text:
            return ()
        try:
            return await self._parts.recall.relevant(request.asker.user, text)
        except Exception as error:  # noqa: BLE001 - the turn goes on without them
            log.warning("What is known of the person could not be looked up: %s", type(error).__name__)
            return ()

    # --- Models that ask each other ---

    def _tools(self, preset: Preset, turn: Turn | None) -> tuple[ServerTool, ...]:
        """Return the functions that models may call in this turn; of no turn in particular, only to be shown."""

        async def expert(asked: str, asker: Asker) -> str:
            assert turn is not None
            return await self._ask_expert(asked, asker, turn)

        knows = "Ask an expert what you don't know: facts, sums, reasoning, code."
        helps = "Give a simple sub-task to a small model on the person's own machine: what it is told goes nowhere."
        experts = (asking(ASK_EXPERT, knows, expert, ["device"]),)
        helpers = (asking(ASK_LOCAL, helps, self._ask_local, ["lan", "cloud"]), *self._parts.tools)
        view = None if turn is None else turn.request.view
        seeing = eyes(view, self._parts.watch_for) if view is not None and view.on else ()
        return (*(experts if preset.ask_expert else ()), *(helpers if preset.ask_local else ()), *seeing)

    async def _ask_expert(self, asked: str, asker: Asker, turn: Turn) -> str:
        """Put one question to the best backend that may be asked; it asks nobody else."""
        guess = turn.need.guess if turn.need.guess.kind is Kind.PERSONAL else await self._guess(asked)
        messages = (ChatMessage("system", _EXPERT), ChatMessage("user", asked))
        request = ChatRequest(messages, max_tokens=_DELEGATED_TOKENS, asker=asker, committed=turn.request.committed)
        needed = need(request, guess, Wishes(big=True, private=turn.need.private, only=None), "")
        others = [each for each in self._candidates(request, guess.kind) if each.place != "device"]
        decision = decide(needed, others, turn.preset)
        if not decision.order:
            return " ".join(["Nobody can be asked.", *(refusal.reason for refusal in decision.refused)])
        alone = Turn(request, needed, turn.preset, decision, (), Conversation())
        return await _text(self._routed(alone, delegated=True).answer())

    async def _ask_local(self, asked: str, asker: Asker) -> str:
        """Put one question to the model on this machine."""
        request = ChatRequest((ChatMessage("user", asked),), max_tokens=_DELEGATED_TOKENS, asker=asker)
        return await _text(self._embedded.stream(request))


def _only(named: str, turn: Turn) -> Turn:
    """Return the turn with nobody to ask but the one that a program named. Raises NobodyAnsweredError."""
    order = tuple(choice for choice in turn.decision.order if choice.candidate.name == named)
    if not order:
        reasons = " ".join(each.reason for each in turn.decision.refused if each.candidate.name == named)
        raise NobodyAnsweredError(f"{named} can't be asked. {reasons}")
    return replace(turn, decision=replace(turn.decision, order=order))


async def _text(stream: AsyncGenerator[Generated, None]) -> str:
    async with aclosing(stream):
        return "".join([piece.text async for piece in stream if isinstance(piece, TextDelta)]).strip()
