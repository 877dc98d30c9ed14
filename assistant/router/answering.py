"""One answer, whoever gives it: the first backend that is asked, a quicker one, or the one that goes on where it broke.

Before anything was given out, a failure is met by the next backend, and a slow one gets a rival (a hedge): who begins
first answers, and the other is called off. After that, the next backend continues what was given out.
"""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, Protocol

from assistant.router.continuing import Joint, Told, request_to_continue
from assistant.router.decision import Choice
from assistant.router.pump import Pump
from assistant.router.sending import text_tokens
from assistant.store.database import StoreError
from pipeline.engines import Bridge, ChatRequest, Finish, Generated, Routed, TakenBack, TextDelta, ToolCall
from pipeline.errors import ParleyError

log = logging.getLogger(__name__)

_RETRY_WITHIN_S: Final = 0.5
"""A backend that fails so soon may be asked again, where nobody better is left."""

_STALL_S: Final = 2.5
"""A spoken answer goes on elsewhere when its next words take longer: what was said before is spoken by then."""

_LEAST_TOKENS: Final = 16
"""What an answer may have left at least, when it goes on."""


class NobodyAnsweredError(ParleyError):
    """Nobody could be asked; the message says why."""


class BrokenOffError(ParleyError):
    """An answer ended without its end."""


class Ways(Protocol):
    """How an answer reaches the backends."""

    def ask(self, choice: Choice, request: ChatRequest) -> AsyncGenerator[Generated, None]:
        """Ask a backend."""
        ...

    def routed(self, choice: Choice, reason: str) -> Routed:
        """Return who answers from here on, and why."""
        ...

    def unwell(self, choice: Choice) -> str | None:
        """Return why a backend can't be asked by now."""
        ...

    def slow_after_s(self, choice: Choice) -> float:
        """Return how long a backend takes for its first token at most, nearly always."""
        ...

    def bridge(self) -> str | None:
        """Return what to say while the answer is awaited, if there is something to say."""
        ...

    def notice(self, choice: Choice, failed: Sequence[Choice]) -> str | None:
        """Return what is to be told before this backend's answer, since better ones `failed`."""
        ...

    async def told(self) -> None:
        """Note that the notice was given out; waits for the commit."""
        ...


@dataclass(slots=True)
class _Asked:
    """A backend that was asked and hasn't begun."""

    choice: Choice
    pump: Pump
    at: float


class Answering:
    """Gives one answer by asking `order`, the first first."""

    def __init__(  # noqa: PLR0913 - what an answer hangs on
        self,
        request: ChatRequest,
        order: Iterable[Choice],
        ways: Ways,
        told: Told,
        *,
        may_hedge: Callable[[Choice], bool],
        bridge_after_s: float,
        announced: Choice | None = None,
    ) -> None:
        """`told`: the answer's earlier parts; `announced`: who gave them, which needs no second announcement."""
        self._request = request
        self._left = list(order)
        self._ways = ways
        self._told = told
        self._may_hedge = may_hedge
        self._bridge_after_s = bridge_after_s if request.spoken else math.inf
        self._asked: list[_Asked] = []
        self._pumps: list[Pump] = []
        self._failed: list[Choice] = []
        self._error: Exception = NobodyAnsweredError("No language model may be asked, or none can be reached.")
        self._retried = False
        self._noticed = False
        self._slower: Choice | None = None
        self._called = False
        self._source: AsyncGenerator[Generated, None] | None = None
        self._now = asyncio.get_running_loop().time
        self._since: float | None = None  # when somebody was asked first, since something was given out
        self.by: Choice | None = announced
        """Who gives the answer."""

    async def run(self) -> AsyncGenerator[Generated, None]:
        """Yield the answer, with one Finish. Raises the last backend's error where none is left that could answer."""
        try:
            while self._left:
                async with aclosing(self._begin()) as beginning:
                    async for piece in beginning:
                        yield piece
                if self._source is None:
                    continue
                try:
                    async with aclosing(self._follow(self._source)) as following:
                        async for piece in following:
                            yield piece
                except Exception as error:  # noqa: BLE001 - whatever it is, the next backend may do better
                    self._fail(error)
                else:
                    return
                if self._called:
                    # Its calls are whole, and are being made.
                    yield Finish("stop", 0, 0, text_tokens(self._told.text))
                    return
                if self._told.text and self._bound:
                    raise self._error
                if back := self._told.take_back():
                    yield TakenBack(back)
        finally:
            for pump in self._pumps:
                await pump.close()
        raise self._error

    @property
    def _bound(self) -> bool:
        """Whether nobody but the one who began can go on: the answer follows a schema."""
        return self._request.sampling is not None and self._request.sampling.schema is not None

    # --- Until somebody begins ---

    async def _begin(self) -> AsyncGenerator[Generated, None]:
        """Ask until a backend begins to answer, and make it the source; there is none where all that are left fail."""
        self._source = None
        choice = self._next()
        if choice is None:
            return
        if routed := self._announced(choice, self._why(choice)):
            yield routed
        if choice.candidate.embedded:
            source = self._ways.ask(choice, self._continued(choice))
            if notice := self._notice(choice):
                yield TextDelta(self._told.feed(notice + " "))
            self._source = source
            return
        # What is said meanwhile is made before it is sure that this is asked, so that it is heard at once.
        if self._waited_s() + choice.candidate.first_audio_s > self._bridge_after_s and (bridge := self._bridge()):
            yield bridge
        if choice.candidate.place != "device":
            await self._request.committed()
        self._ask(choice)
        async with aclosing(self._wait()) as waiting:
            async for piece in waiting:
                yield piece

    async def _wait(self) -> AsyncGenerator[Generated, None]:
        """Wait for whoever begins first, with a remark and a rival in time."""
        rival_at = self._rival_at()
        bridge_at = self._now() - self._waited_s() + self._bridge_after_s
        while self._asked:
            wait_s = min(bridge_at, rival_at) - self._now()
            firsts = [asked.pump.first for asked in self._asked]
            timeout = None if math.isinf(wait_s) else max(0.0, wait_s)
            await asyncio.wait(firsts, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if await self._has_winner():
                winner = self._asked.pop()
                if routed := self._announced(winner.choice, self._why_winner(winner.choice)):
                    yield routed
                if notice := self._notice(winner.choice):
                    yield TextDelta(self._told.feed(notice + " "))
                self._source = winner.pump.pieces(self._patience_s)
                return
            if self._now() >= bridge_at:
                bridge_at = math.inf
                if self._asked and (bridge := self._bridge()):
                    yield bridge
            if self._now() >= rival_at:
                rival_at = math.inf
                if self._asked and (rival := self._next()) is not None:
                    self._ask(rival)

    async def _has_winner(self) -> bool:
        """Tell whether somebody has begun, who is the only one left then; whoever failed is gone."""
        for asked in [each for each in self._asked if each.pump.first.done()]:
            error = asked.pump.first.result()
            if not isinstance(error, Exception):
                for slower in [each for each in self._asked if each is not asked]:
                    self._asked.remove(slower)
                    await slower.pump.close()
                    self._slower = slower.choice
                    self._left.insert(0, slower.choice)  # it may be needed yet
                return True
            self._asked.remove(asked)
            await asked.pump.close()
            self._fail(error, asked)
        return False

    def _why(self, choice: Choice) -> str:
        if not self._failed:
            return choice.reason
        what = "broke off" if self._told.text else "could not answer"
        return f"{self._failed[-1].candidate.name} {what}, and {choice.candidate.name} is the next best."

    def _why_winner(self, choice: Choice) -> str:
        if self._slower is None:
            return self._why(choice)
        return f"{self._slower.candidate.name} took longer than usual, and {choice.candidate.name} began first."

    def _announced(self, choice: Choice, reason: str) -> Routed | None:
        if self.by is choice:
            return None
        self.by = choice
        return self._ways.routed(choice, reason)

    def _notice(self, choice: Choice) -> str | None:
        notice = None if self._told.text else self._ways.notice(choice, self._failed)
        self._noticed = self._noticed or notice is not None
        return notice

    @property
    def _patience_s(self) -> float | None:
        """How long the next words may take. A call is whole when it comes, and may be long in coming."""
        return _STALL_S if self._request.spoken and self._left and not self._request.toolbox.may_call else None

    def _waited_s(self) -> float:
        """Return how long somebody has been waiting for the first words."""
        if self._told.text:
            return -math.inf  # they are being spoken
        return 0.0 if self._since is None else self._now() - self._since

    def _ask(self, choice: Choice) -> None:
        self._since = self._now() if self._since is None else self._since
        pump = Pump(self._ways.ask(choice, self._continued(choice)))
        self._pumps.append(pump)
        self._asked.append(_Asked(choice, pump, self._now()))

    def _next(self) -> Choice | None:
        while self._left:
            choice = self._left.pop(0)
            if choice in self._failed or self._ways.unwell(choice) is None:
                return choice
            self._failed.append(choice)
        return None

    def _rival_at(self) -> float:
        rival = next((each for each in self._left if self._ways.unwell(each) is None), None)
        if rival is None or not self._may_hedge(rival):
            return math.inf
        return self._now() + self._ways.slow_after_s(self._asked[0].choice)

    def _bridge(self) -> Bridge | None:
        text = self._ways.bridge()
        if text is None:
            return None
        self._bridge_after_s = math.inf
        return Bridge(text)

    def _fail(self, error: Exception, asked: _Asked | None = None) -> None:
        choice = asked.choice if asked else self.by
        assert choice is not None
        # Another error's message may quote what was said.
        why = str(error) if isinstance(error, StoreError) else f"{type(error).__name__}."
        log.warning("%s could not answer: %s", choice.candidate.name, why)
        self._error = error
        self._failed.append(choice)
        alone = not any(each.candidate.place != "device" for each in self._left)
        if (
            asked is not None
            and alone
            and not self._retried
            and getattr(error, "retry", False)
            and self._now() - asked.at < _RETRY_WITHIN_S
        ):
            self._retried = True
            self._left.insert(0, choice)

    # --- From then on ---

    def _continued(self, choice: Choice) -> ChatRequest:
        request, told = self._request, self._told.text
        if told:
            request = replace(request, max_tokens=max(_LEAST_TOKENS, request.max_tokens - text_tokens(told)))
        return request_to_continue(request, told, embedded=choice.candidate.embedded)

    async def _follow(self, source: AsyncGenerator[Generated, None]) -> AsyncGenerator[Generated, None]:
        joint = Joint(self._told.text)
        whole_words = self.by is not None and not self.by.candidate.embedded
        finished = False
        async with aclosing(source):
            async for piece in source:
                match piece:
                    case TextDelta(text):
                        if fresh := self._told.feed(joint.feed(text), whole_words=whole_words):
                            yield TextDelta(fresh)
                        continue
                    case ToolCall() | Finish():
                        if rest := self._told.feed(joint.flush()) + self._told.flush():
                            yield TextDelta(rest)
                        joint = Joint("")
                        self._called = self._called or isinstance(piece, ToolCall)
                        finished = isinstance(piece, Finish)
                        if finished and self._noticed:
                            await self._ways.told()
                    case _:
                        pass
                yield piece
        if not finished:
            raise BrokenOffError("The answer ended without its end.")
