"""The egress ledger: nothing leaves this machine before it is written down who gets it, and how much of it."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from assistant.privacy.entries import EGRESS, OPEN, UNSENT, Entry, read
from assistant.privacy.said import said
from assistant.router.budget import Budgets, Spent
from assistant.router.parts import Arrival, Departure
from assistant.store.database import Database, StoreError
from pipeline.engines import ChatMessage

logger = logging.getLogger(__name__)

_WAITING: Final = 256
_AT_ONCE: Final = 64
_TRIES: Final = 3
_FLUSH_S: Final = 5.0
_MONTH: Final = timedelta(days=33)
"""A month, and a day more for zones."""
_CHARS_A_TOKEN: Final = 3.5
_PICTURE_TOKENS: Final = 800
_ANSWER_TOKENS: Final = 150


@dataclass(slots=True)
class _Opening:
    departure: Departure
    at: datetime
    cost: float
    done: asyncio.Future[int]


@dataclass(slots=True)
class _Closing:
    number: int
    at: datetime
    values: Mapping[str, Any]
    tries: int = 0


@dataclass(frozen=True, slots=True)
class _UnderWay:
    reservation: int
    at: datetime


@dataclass(slots=True)
class _Batch:
    openings: list[_Opening] = field(default_factory=list)
    closings: list[_Closing] = field(default_factory=list)


class Ledger:
    """Writes down what leaves; an async context manager that writes the rest at its end.

    One task writes, and takes together what has come together. `opened` waits for it, since what isn't written down
    may not leave; what `closed` brings waits in a queue, and where that is full, `closed` waits.
    """

    def __init__(self, database: Database, budgets: Budgets) -> None:
        """`budgets` knows prices, and the owner's day; what is spent is counted there."""
        self.budgets = budgets
        self._database = database
        self._jobs: asyncio.Queue[_Opening | _Closing] = asyncio.Queue(_WAITING)
        self._under_way: dict[int, _UnderWay] = {}
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Load what was spent this month, and begin to write. Raises StoreError."""
        past = await read(self._database, self.budgets.now() - _MONTH)
        self.budgets.load(Spent(entry.backend, entry.opened_at, entry.cost) for entry in past)
        self._writer = asyncio.create_task(self._write(), name="ledger")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._writer is not None
        try:
            async with asyncio.timeout(_FLUSH_S):
                await self._jobs.join()
        except TimeoutError:
            logger.warning("%d entries of the ledger could not be written any more.", self._jobs.qsize())
        finally:
            self._writer.cancel()
            await asyncio.wait([self._writer])
            while not self._jobs.empty():
                _abandon(self._jobs.get_nowait())

    async def opened(self, departure: Departure) -> int:
        """Write a departure down and return its number; 0 for a model on this machine, where nothing leaves.

        Raises StoreError where it can't be written down and BudgetError where the money isn't there: then it may not
        leave. Who is cancelled while waiting has sent nothing, and the ledger says so.
        """
        if departure.place == "device":
            return 0
        cost = self.budgets.expects(departure.backend, _tokens(departure), _ANSWER_TOKENS)
        reservation = self.budgets.reserve(departure.backend, cost)
        job = _Opening(departure, self.budgets.now(), cost, asyncio.get_running_loop().create_future())
        try:
            await self._jobs.put(job)
            number = await job.done
        except BaseException:
            self.budgets.settle(reservation, 0.0, job.at)
            self._give_up(job)
            raise
        self._under_way[number] = _UnderWay(reservation, job.at)
        return number

    async def closed(self, number: int, arrival: Arrival) -> None:
        """Write down what came of it, soon, and count its cost at once."""
        under_way = self._under_way.pop(number, None)
        if under_way is None:
            return
        self.budgets.settle(under_way.reservation, arrival.cost, under_way.at)
        values = {
            "outcome": arrival.outcome,
            "error": arrival.error[:200],
            "input_tokens": arrival.input_tokens,
            "output_tokens": arrival.output_tokens,
            "estimated": arrival.estimated,
            "received_bytes": arrival.received_bytes,
            "cost": arrival.cost,
            "first_token_s": arrival.first_token_s,
        }
        await self._jobs.put(_Closing(number, self.budgets.now(), values))

    def _give_up(self, job: _Opening) -> None:
        """Have it written down that nothing was sent: the writer does, unless it is done with the job already."""
        if job.done.cancel() or job.done.cancelled() or job.done.exception() is not None:
            return
        with suppress(asyncio.QueueFull):
            self._jobs.put_nowait(_Closing(job.done.result(), self.budgets.now(), _unsent()))

    async def since(self, moment: datetime, *, most: int | None = None) -> list[Entry]:
        """Return the entries since then, the oldest first. Raises StoreError."""
        await self._settled()
        return await read(self._database, moment, most=most)

    async def today(self) -> list[Entry]:
        """Return the entries of the owner's day. Raises StoreError."""
        return await self.since(self.budgets.midnight())

    async def said_today(self, user: str, language: str | None) -> str:
        """Answer "what did you send today?" in a sentence or two, for this user."""
        try:
            entries = await self.today()
        except StoreError:
            return said(None, self.budgets.currency, language)
        return said([entry for entry in entries if entry.user == user], self.budgets.currency, language)

    async def _settled(self) -> None:
        """Wait, for a while, until what is known is in the database."""
        try:
            async with asyncio.timeout(_FLUSH_S):
                await self._jobs.join()
        except TimeoutError:
            logger.warning("The ledger is behind: what is shown may lack the last entries.")

    # --- The writer ---

    async def _write(self) -> None:
        while True:
            jobs = [await self._jobs.get()]
            while len(jobs) < _AT_ONCE and not self._jobs.empty():
                jobs.append(self._jobs.get_nowait())
            batch = _Batch(
                [job for job in jobs if isinstance(job, _Opening) and not job.done.cancelled()],
                [job for job in jobs if isinstance(job, _Closing)],
            )
            try:
                await self._write_batch(batch)
            finally:
                for job in jobs:
                    _abandon(job)
                    self._jobs.task_done()

    async def _write_batch(self, batch: _Batch) -> None:
        try:
            async with self._database.writing() as connection:
                numbers = [await _open(connection, opening) for opening in batch.openings]
                for closing in batch.closings:
                    await _close(connection, closing)
        except Exception as error:  # noqa: BLE001 - who waits is told, and the ledger goes on
            self._failed(batch, error)
            return
        given_up = []
        for opening, number in zip(batch.openings, numbers, strict=True):
            if opening.done.cancelled():
                given_up.append(_Closing(number, self.budgets.now(), _unsent()))
            else:
                opening.done.set_result(number)
        if given_up:
            await self._write_batch(_Batch(closings=given_up))

    def _failed(self, batch: _Batch, error: Exception) -> None:
        for opening in batch.openings:
            if not opening.done.cancelled():
                opening.done.set_exception(error)
        for closing in batch.closings:
            closing.tries += 1
            if closing.tries < _TRIES and not self._jobs.full():
                self._jobs.put_nowait(closing)
            else:
                logger.warning("Entry %d of the ledger stays open: %s", closing.number, error)


def _abandon(job: _Opening | _Closing) -> None:
    """Let nobody wait for what won't be written any more."""
    if isinstance(job, _Opening) and not job.done.done():
        job.done.set_exception(StoreError("The ledger is being closed: nothing may leave this machine any more."))


async def _open(connection: AsyncConnection, opening: _Opening) -> int:
    departure = opening.departure
    pictures = [picture.url for message in departure.messages for picture in message.pictures]
    done = await connection.execute(
        insert(EGRESS).values(
            opened_at=opening.at,
            user=departure.asker.user[:200],
            session=departure.asker.session[:200],
            turn=departure.asker.turn[:200],
            kind=departure.kind[:40],
            reason=departure.reason[:1000],
            delegated=departure.delegated,
            backend=departure.backend[:200],
            place=departure.place,
            host=departure.host[:300],
            text_bytes=_text_bytes(departure),
            pictures=len(pictures),
            picture_bytes=_picture_bytes(departure),
            masked=departure.masked,
            sha256=digest(departure.messages),
            outcome=OPEN,
            error="",
            input_tokens=0,
            output_tokens=0,
            estimated=True,
            received_bytes=0,
            # Should this program end before it is known, it counts with what it was expected to cost.
            cost=opening.cost,
        )
    )
    assert done.inserted_primary_key is not None
    number: int = done.inserted_primary_key[0]
    return number


async def _close(connection: AsyncConnection, closing: _Closing) -> None:
    await connection.execute(
        update(EGRESS).where(EGRESS.c.id == closing.number).values(closed_at=closing.at, **closing.values)
    )


def _unsent() -> dict[str, Any]:
    nothing = dict.fromkeys(("text_bytes", "pictures", "picture_bytes", "masked"), 0)
    return {**nothing, "outcome": UNSENT, "cost": 0.0, "estimated": False, "sha256": ""}


def _picture_bytes(departure: Departure) -> int:
    return sum(len(picture.url.encode()) for message in departure.messages for picture in message.pictures)


def _tokens(departure: Departure) -> float:
    pictures = sum(len(message.pictures) for message in departure.messages)
    return _text_bytes(departure) / _CHARS_A_TOKEN + _PICTURE_TOKENS * pictures


def _text_bytes(departure: Departure) -> int:
    return max(0, departure.sent_bytes - _picture_bytes(departure))


def digest(messages: Iterable[ChatMessage]) -> str:
    """Return the SHA-256 of messages as they are sent, in hexadecimal."""
    told = [
        [
            message.role,
            message.content,
            [picture.url for picture in message.pictures],
            [[call.call_id, call.name, call.arguments] for call in message.calls],
            message.call_id,
        ]
        for message in messages
    ]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
