"""One turn that may be answered elsewhere: what it needs is known, and so is who may be asked."""

import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from assistant.router.answering import Answering
from assistant.router.bridges import bridge
from assistant.router.continuing import Told
from assistant.router.conversations import Conversation, Conversations
from assistant.router.decision import FAR, FIRST_TOKEN_S, Choice, Constraint, Decision, Need, Preset
from assistant.router.looking import ask_here, sees, with_camera, without_pictures
from assistant.router.notices import Notice, words
from assistant.router.parts import Backend
from assistant.router.plan import with_facts
from assistant.router.policy import decide
from assistant.router.sending import Errand, Sender
from assistant.router.tools import ASK_EXPERT, MOST_ROUNDS, ServerTool, offered, result
from assistant.router.withholding import without
from assistant.store.database import StoreError
from pipeline.engines import (
    Bridge,
    ChatMessage,
    ChatRequest,
    Finish,
    Generated,
    LanguageModel,
    Routed,
    TextDelta,
    ToolCall,
)

_SLOW_TIMES: Final = 3.0
"""A backend whose times aren't known is slow when it takes so many times what is usual where it is."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What there is to know."""

    request: ChatRequest
    need: Need
    preset: Preset
    decision: Decision
    facts: tuple[str, ...]
    conversation: Conversation
    between_us: tuple[bool, ...] = ()
    """For each message of the request, whether it stays on this machine."""
    personal: tuple[bool, ...] = ()
    """For each, whether it goes no farther than what is personal."""
    looks_for: str = ""
    """The question, where it is about what the camera shows."""


class RoutedTurn:
    """Answers it."""

    def __init__(  # noqa: PLR0913 - what an answer hangs on
        self,
        turn: Turn,
        embedded: LanguageModel,
        backends: dict[str, Backend],
        sender: Sender,
        conversations: Conversations,
        *,
        tools: Sequence[ServerTool] = (),
        blur_faces: bool = True,
        bridge_after_s: float,
        delegated: bool = False,
    ) -> None:
        self._turn = turn
        self._embedded = embedded
        self._backends = backends
        self._sender = sender
        self._conversations = conversations
        self._tools = tuple(tools)
        self._blur_faces = blur_faces
        self._bridge_after_s = bridge_after_s
        self._delegated = delegated
        self._last_round = False
        self._committed = False
        self._bridge_said = ""
        self._notice: Notice | None = None
        self._alone = Notice.OFFLINE  # what is told where nobody elsewhere could be asked

    async def answer(self) -> AsyncGenerator[Generated, None]:
        """Yield the answer. The server's own functions are run in between; the client's calls are its own business."""
        request = self._turn.request
        told = Told(spoken=request.spoken)
        order: Sequence[Choice] = self._turn.decision.order
        by: Choice | None = None
        spent = Finish("stop", 0, 0, 0)
        own = {tool.tool.name for tool in self._tools}
        if not self._turn.decision.missed(Constraint.BUDGET):
            self._turn.conversation.told.discard(Notice.BUDGET)  # a new day, or a higher limit
        for round_ in range(1, MOST_ROUNDS + 1):
            self._last_round = round_ == MOST_ROUNDS
            answering = Answering(
                request,
                order,
                self,
                told,
                may_hedge=self._may_hedge,
                bridge_after_s=self._bridge_after_s,
                announced=by,
            )
            calls: list[ToolCall] = []
            client_calls = False
            async with aclosing(answering.run()) as pieces:
                async for piece in pieces:
                    match piece:
                        case ToolCall() if piece.name in own:
                            calls.append(piece)
                        case Finish():
                            spent = _sum(spent, piece)
                        case _:
                            client_calls = client_calls or isinstance(piece, ToolCall)
                            yield piece
            # Where the client is called as well, the turn is its: the model asks again once it has the results.
            if not calls or client_calls:
                break
            by = answering.by
            expert = any(call.name == ASK_EXPERT for call in calls)
            if expert and request.spoken and math.isfinite(self._bridge_after_s) and (remark := self.bridge()):
                yield Bridge(remark)
            said = told.text
            if between := told.mark():
                yield TextDelta(between)
            request = replace(request, messages=(*request.messages, *await self._run(calls, said)))
            order = [*([by] if by else []), *(each for each in order if each is not by)]
        yield spent

    async def _run(self, calls: Sequence[ToolCall], said: str) -> list[ChatMessage]:
        await self._turn.request.committed()
        results = [
            ChatMessage("tool", await result(call, self._tools, self._turn.request.asker), call_id=call.call_id)
            for call in calls
        ]
        return [ChatMessage("assistant", said.strip(), calls=tuple(calls)), *results]

    def _may_hedge(self, rival: Choice) -> bool:
        match self._turn.preset.hedge:
            case "never":
                return False
            case "free" if rival.candidate.cost:
                return False
            case _:
                return rival.candidate.place != "device" or not self._turn.need.big

    # --- The ways to the backends ---

    def ask(self, choice: Choice, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        """Ask a backend, with what it may know and can use."""
        candidate = choice.candidate
        if candidate.tools:
            toolbox = offered(request.toolbox, self._tools, candidate.place)
            # Without its functions, a model would not understand the calls that it has made.
            request = replace(request, toolbox=replace(toolbox, choice="none") if self._last_round else toolbox)
        if candidate.place != "device":
            withheld = self._turn.between_us
            if FAR[candidate.place] > FAR[self._turn.preset.personal_floor]:
                withheld = tuple(map(any, zip(withheld, self._turn.personal, strict=True)))
            request = without(request, withheld)
        if FAR[candidate.place] <= FAR[self._turn.preset.personal_floor]:
            request = with_facts(request, self._turn.facts)
        if candidate.place != "device":
            self._committed = True  # or nobody elsewhere would be asked
            self._remember_bridge()
        return self._shown(choice, request)

    async def _shown(self, choice: Choice, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        """Ask it with what there is to see, as far as it may know that."""
        candidate, looks_for = choice.candidate, self._turn.looks_for
        if not candidate.vision:
            request = await without_pictures(request)
        if candidate.embedded:
            stream = ask_here(self._embedded, request, looks_for)
        else:
            if looks_for:
                blur_faces = self._blur_faces and candidate.place == "cloud"
                request = await with_camera(request, looks_for, pictures=candidate.vision, blur_faces=blur_faces)
            errand = Errand(self._turn.need.guess.kind, choice.reason, self._delegated)
            stream = self._watch(self._sender.send(self._backends[candidate.name], request, errand))
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                yield piece

    async def _watch(self, stream: AsyncGenerator[Generated, None]) -> AsyncGenerator[Generated, None]:
        reached = False
        try:
            async with aclosing(stream):
                async for piece in stream:
                    if not reached:
                        reached = True
                        self._conversations.over(Notice.OFFLINE, Notice.UNRECORDED)
                    yield piece
        except StoreError:
            self._alone = Notice.UNRECORDED
            raise

    def routed(self, choice: Choice, reason: str) -> Routed:
        """Return who answers from here on, and why."""
        candidate = choice.candidate
        backend = self._backends.get(candidate.name)
        host = "" if backend is None or candidate.place == "device" else backend.host
        request = self._turn.request
        filmed = sees(request, self._turn.looks_for)
        pictures = bool(host) and candidate.vision and (filmed or any(each.pictures for each in request.messages))
        return Routed(candidate.name, candidate.place, reason, self._turn.need.guess.kind, host, pictures)

    def unwell(self, choice: Choice) -> str | None:
        """Return why a backend can't be asked by now."""
        backend = self._backends.get(choice.candidate.name)
        return None if backend is None else backend.unwell

    def slow_after_s(self, choice: Choice) -> float:
        """Return how long a backend takes for its first token at most, nearly always."""
        backend = self._backends.get(choice.candidate.name)
        measured = None if backend is None else backend.first_token_s(0.95)
        return _SLOW_TIMES * FIRST_TOKEN_S[choice.candidate.place] if measured is None else measured

    def bridge(self) -> str | None:
        """Return what to say while the answer is awaited."""
        turn = self._turn
        last = self._bridge_said or turn.conversation.last_bridge
        remark = bridge(turn.need.guess.kind, turn.request.asker.language, last)
        self._bridge_said = remark or self._bridge_said
        if self._committed:
            self._remember_bridge()
        return remark

    def _remember_bridge(self) -> None:
        self._turn.conversation.last_bridge = self._bridge_said or self._turn.conversation.last_bridge

    def notice(self, choice: Choice, failed: Sequence[Choice]) -> str | None:
        """Return what the person should know before this backend answers; nothing that was said before."""
        turn = self._turn
        request = turn.request
        if not request.asker.session or (request.sampling is not None and request.sampling.schema is not None):
            return None
        notice = self._alone if self._offline(choice, failed) else self._over_budget(choice)
        if notice is None or notice in turn.conversation.told:
            return None
        self._notice = notice
        return words(notice, request.asker.language)

    def _offline(self, choice: Choice, failed: Sequence[Choice]) -> bool:
        """Tell whether a better model elsewhere would have answered, and none can be reached."""
        decision = self._turn.decision
        elsewhere = [each for each in decision.order if each.candidate.place != "device"]
        if choice.candidate.place != "device" or any(each not in failed for each in elsewhere):
            return False
        return bool(elsewhere) or self._misses(Constraint.HEALTH)

    def _over_budget(self, choice: Choice) -> Notice | None:
        first = self._turn.decision.order[0]
        return Notice.BUDGET if choice == first and self._misses(Constraint.BUDGET) else None

    def _misses(self, constraint: Constraint) -> bool:
        """Tell whether another would be asked first if this constraint weren't."""
        decision = self._turn.decision
        missed = [replace(each, unwell=None, over_budget=None) for each in decision.missed(constraint)]
        if not missed:
            return False
        everybody = (*(each.candidate for each in decision.order), *missed)
        return decide(self._turn.need, everybody, self._turn.preset).order[0].candidate in missed

    async def told(self) -> None:
        """Note that the notice was given out."""
        await self._turn.request.committed()
        if self._notice is not None:
            self._turn.conversation.told.add(self._notice)


def _sum(one: Finish, other: Finish) -> Finish:
    return Finish(
        other.reason,
        one.input_tokens + other.input_tokens,
        one.cached_tokens + other.cached_tokens,
        one.output_tokens + other.output_tokens,
    )
