"""What the user shows: the frames of their camera, what was seen in the last of them, and the pictures of messages.

Frames never delay voice: they are looked at in the lowest lane of a conversation, one at a time, and only the newest
waits. What a camera showed is kept for a few seconds, so that a turn is told what was there while the user spoke.
"""

import asyncio
import base64
from collections import OrderedDict, deque
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from pipeline import events
from pipeline.context import Context, Looked
from pipeline.engines import Eyes, Picture, PictureError, Sight, Unseen
from pipeline.errors import RequestError, Stage, StageError
from pipeline.history import Item
from pipeline.lanes import Lane
from vision.types import Frame, Scene

LEAST_S: Final = 0.095
"""Between two frames: about ten a second are taken."""
FRESH_S: Final = 3.0
"""A frame that is older doesn't tell what is there now."""
KEPT_S: Final = 5.0
"""What the camera showed is forgotten then, whether it shows more or not."""
MOST_KEPT_BYTES: Final = 16 * 2**20
"""Of frames that have been looked at; the newest is kept whatever its size."""
MOST_PICTURES: Final = 64
"""Of messages, whose descriptions are kept."""

_TRAVEL_S: Final = 0.2
"""From the camera to here."""
_GOOD_ENOUGH_S: Final = 1.0
"""An older frame that has been looked at is taken for a newer one that hasn't."""
_STILL_THERE_S: Final = 1.5
"""Text that was read in a frame so much older is taken for what the newer one has, even if something moved."""
_PATIENCE_S: Final = 0.3
"""An answer that waits for a look waits no longer for its turn."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A frame that has been looked at."""

    frame: Frame
    scene: Scene


@dataclass(frozen=True, slots=True)
class _Apart:
    """A look at one frame by itself, which several turns may wait for."""

    frame: Frame
    closely: bool
    seen: "asyncio.Future[Scene | StageError]"


class Seeing:
    """One session's eyes, if there are any."""

    def __init__(self, context: Context) -> None:
        self.dropped = 0
        """Frames that were taken in vain."""
        self.closely_every_s: float | None = None
        """How often what can be read is wanted, whoever speaks."""
        self._context = context
        self._eyes: Eyes | None = context.engines.eyes
        self._sight: Sight | None = None  # what the camera shows in one go belongs together
        self._one = asyncio.Lock()  # a stream of frames is looked at in its order
        self._period = 0
        self._shut = False  # the user wants not to be seen
        self._complained = False  # the client knows that its frames aren't taken, or can't be read
        self._newest: Frame | None = None
        self._waiting: Frame | None = None
        self._looking = False
        self._forgetting = False
        self._closely = False  # the next look is to be close
        self._close_at = float("-inf")  # when the last such look was
        self._shown: deque[_Shown] = deque()
        self._apart: _Apart | None = None
        # By hashes: a picture that was deleted must not live on here.
        self._pictures: OrderedDict[bytes, asyncio.Future[Scene | Unseen]] = OrderedDict()

    @property
    def on(self) -> bool:
        """Whether the camera is on, as far as can be known."""
        return self._newest is not None

    # --- The camera ---

    async def take(self, data: bytes) -> None:
        """Take in a frame, which is looked at when there is time. One that comes too soon is dropped."""
        if self._eyes is None or self._shut:
            await self._complain(
                RequestError("unsupported_picture", "This server has no eyes: it takes no pictures.")
                if self._eyes is None
                else RequestError(
                    "camera_off",
                    "The user wants not to be seen: no picture is taken until the camera is switched on again, with "
                    '{"type": "parley.camera", "on": true}.',
                )
            )
            return
        now = _now()
        if self._newest is not None and now - self._newest.at < LEAST_S:
            self.dropped += 1
            return
        if self._newest is None:
            self._sight = self._eyes.open()
        self.dropped += self._waiting is not None
        self._newest = self._waiting = Frame(data, now)
        if not self._looking:
            self._looking = True
            self._context.spawn(self._look_on())
        if not self._forgetting:
            self._forgetting = True
            self._context.spawn(self._forget())

    async def switch(self, camera: events.Camera) -> None:
        """Switch the camera on or off. Off, nothing of what it showed is kept."""
        if camera.by == "user":
            self._shut = not camera.on
            await self._context.emit(events.CameraSwitched(camera.on))
        elif camera.on:
            self._shut = False
        self._complained = False
        if not camera.on:
            self._period += 1
            self._sight = self._newest = self._waiting = self._apart = None
            self._shown.clear()

    async def _complain(self, error: RequestError) -> None:
        """Tell the client once: frames come fast."""
        if not self._complained:
            self._complained = True
            await self._context.emit(events.Rejected(error.code, error.message))

    async def _look_on(self) -> None:
        """Look at the newest frame, as long as there is one that hasn't been looked at."""
        while self._waiting is not None:
            async with self._context.engines.lanes.enter(Lane.VISION):
                # Newer ones may have come while this waited for its turn, or the camera may be off by now.
                frame, self._waiting = self._waiting, None
                sight, period = self._sight, self._period
                if frame is None or sight is None:
                    continue
                wanted = self.closely_every_s is not None and frame.at - self._close_at >= self.closely_every_s
                closely, self._closely = self._closely or wanted, False
                self._close_at = frame.at if closely else self._close_at
                async with self._one:
                    seen = await _look(sight, frame, closely=closely)
            await self._context.post(Looked(period, frame, seen))
        self._looking = False

    async def learn(self, looked: Looked, dropped: int = 0) -> None:
        """Take in what a frame shows; `dropped` frames never came here."""
        if looked.period != self._period:
            return
        if isinstance(looked.seen, StageError):
            await self._complain(RequestError(looked.seen.code, looked.seen.message))
            return
        self._complained = False
        self._shown.append(_Shown(looked.frame, looked.seen))
        while len(self._shown) > 1 and sum(len(each.frame.data) for each in self._shown) > MOST_KEPT_BYTES:
            self._shown.popleft()
        await self._context.emit(events.SceneSeen(looked.seen, self.dropped + dropped, looked.period))

    async def _forget(self) -> None:
        """Forget what is too old, as long as there is something to forget."""
        while self._newest is not None and self._newest.data:
            await asyncio.sleep(KEPT_S / 5)
            oldest = _now() - KEPT_S
            while self._shown and self._shown[0].frame.at < oldest:
                self._shown.popleft()
            if self._apart is not None and self._apart.frame.at < oldest:
                self._apart = None
            if self._newest is not None and self._newest.at < oldest:
                self._newest, self._waiting = Frame(b"", self._newest.at), None  # the camera went without a word
        self._forgetting = False

    # --- What the user says meanwhile ---

    def begin_utterance(self) -> None:
        """Look closely once: what the user shows may be what they talk about."""
        self._closely = True

    def end_utterance(self) -> None:
        """Look closely no more."""
        self._closely = False

    def view(self, until: float | None = None) -> "Glance | None":
        """Return what a turn may see whose user spoke `until` then, by the session's clock; None: until now."""
        return None if self._eyes is None else Glance(self, _now() if until is None else until)

    # --- What a turn asks ---

    async def scene(self, until: float, *, closely: bool) -> Scene | Unseen:
        """Return what was there at that time."""
        newest, period = self._newest, self._period
        if newest is None:
            return "off"
        if until - newest.at > FRESH_S or not newest.data:
            return "stale"
        shown = self._at(until)
        # Its first look may be under way, or it may have had none.
        fresh = newest if newest.at <= until + _TRAVEL_S else None
        if shown is None or (fresh is not None and fresh.at - shown.frame.at > _GOOD_ENOUGH_S):
            scene = await self._look_at(fresh or newest, closely=closely)
        elif (close := self._close(shown, closely=closely)) is not None:
            scene = close
        elif closely:
            scene = await self._look_at(shown.frame, closely=True)
        else:
            scene = shown.scene
        if period != self._period:
            return "off"
        return _found(scene)

    def frame(self, until: float) -> Frame | None:
        """Return the frame of that time."""
        shown = self._at(until)
        frame = self._newest if shown is None else shown.frame
        return frame if frame is not None and frame.data and until - frame.at <= FRESH_S else None

    def _at(self, until: float) -> _Shown | None:
        """Return what was seen last by that time; what came right after it, where nothing was."""
        before = [each for each in self._shown if each.frame.at <= until + _TRAVEL_S]
        return before[-1] if before else self._shown[0] if self._shown else None

    def _close(self, shown: _Shown, *, closely: bool) -> Scene | None:
        """Return a close look at what is shown: one at a frame before, where that can be taken for the same."""
        moved = False
        for each in reversed(self._shown):
            if each.frame.at > shown.frame.at:
                continue
            text = each.scene.text
            if text is not None and (
                not moved or (closely and text and shown.frame.at - each.frame.at < _STILL_THERE_S)
            ):
                return each.scene
            moved = moved or each.scene.moved
        return None

    async def _look_at(self, frame: Frame, *, closely: bool) -> Scene | StageError:
        """Look at a frame once, whoever still waits for it in the end."""
        apart = self._apart
        if apart is None or apart.frame is not frame or (closely and not apart.closely):
            apart = self._apart = _Apart(frame, closely, asyncio.get_running_loop().create_future())
            self._context.spawn(self._look_once(apart))
        return await asyncio.shield(apart.seen)

    async def _look_once(self, apart: _Apart) -> None:
        apart.seen.set_result(await self._look_apart(apart.frame, closely=apart.closely))

    async def _look_apart(self, frame: Frame, *, closely: bool) -> Scene | StageError:
        """Look at one frame by itself: an answer waits for it."""
        assert self._eyes is not None
        async with self._context.engines.lanes.enter(Lane.VISION, _PATIENCE_S):
            return await _look(self._eyes.open(), frame, closely=closely)

    async def jpeg(self, frame: Frame, *, longest: int, blur_faces: bool) -> bytes | None:
        """Return a frame made ready to be sent away; None where it can't be."""
        assert self._eyes is not None
        try:
            async with self._context.engines.lanes.enter(Lane.VISION, _PATIENCE_S):
                return await self._eyes.open().picture(frame, longest=longest, blur_faces=blur_faces)
        except Exception:  # noqa: BLE001 - the answer goes on without it
            return None

    # --- The pictures of messages ---

    def show(self, item: Item) -> None:
        """Look at the pictures of a message: its answer will be wanted soon."""
        if self._eyes is not None:
            for picture in item.pictures:
                self._begin(picture)

    def described(self, picture: Picture) -> str | None:
        """Return what a picture shows, if that is known by now."""
        known = self._pictures.get(_name(picture))
        return _in_words(known.result()) if known is not None and known.done() else None

    async def see(self, picture: Picture) -> Scene | Unseen:
        """Return what a picture shows."""
        return await asyncio.shield(self._begin(picture))

    async def describe(self, picture: Picture) -> str:
        """Return the same in words; empty where that can't be told."""
        return _in_words(await self.see(picture))

    def _begin(self, picture: Picture) -> asyncio.Future[Scene | Unseen]:
        name = _name(picture)
        if name not in self._pictures:
            self._pictures[name] = asyncio.get_running_loop().create_future()
            self._context.spawn(self._read(picture, self._pictures[name]))
            if len(self._pictures) > MOST_PICTURES:
                self._pictures.popitem(last=False)
        return self._pictures[name]

    async def _read(self, picture: Picture, seen: asyncio.Future[Scene | Unseen]) -> None:
        data = base64.b64decode(picture.url.partition(",")[2])
        seen.set_result(_found(await self._look_apart(Frame(data, _now()), closely=True)))


class Glance:
    """What one turn may see: a View."""

    def __init__(self, seeing: Seeing, until: float) -> None:
        self._seeing = seeing
        self._until = until

    @property
    def on(self) -> bool:
        """Whether the camera is on."""
        return self._seeing.on

    async def look(self, *, closely: bool = False) -> Scene | Unseen:
        """Return what the camera showed when the user spoke last."""
        return await self._seeing.scene(self._until, closely=closely)

    async def picture(self, *, longest: int, blur_faces: bool) -> Picture | None:
        """Return that picture itself, as a data URL."""
        frame = self._seeing.frame(self._until)
        data = None if frame is None else await self._seeing.jpeg(frame, longest=longest, blur_faces=blur_faces)
        return None if data is None else Picture(f"data:image/jpeg;base64,{base64.b64encode(data).decode()}")

    async def see(self, picture: Picture) -> Scene | Unseen:
        """Return what a message's picture shows."""
        return await self._seeing.see(picture)

    async def describe(self, picture: Picture) -> str:
        """Return the same in words."""
        return await self._seeing.describe(picture)

    def described(self, picture: Picture) -> str | None:
        """Return the same, if it is known by now."""
        return self._seeing.described(picture)


def _found(seen: Scene | StageError) -> Scene | Unseen:
    if isinstance(seen, StageError):
        return "broken"
    return "black" if seen.light == "black" else seen


def _in_words(seen: Scene | Unseen) -> str:
    return seen.summary if isinstance(seen, Scene) else ""


async def _look(sight: Sight, frame: Frame, *, closely: bool) -> Scene | StageError:
    try:
        return await sight.look(frame, closely=closely)
    except PictureError as error:
        return StageError(Stage.LOOK, error.code, error.message)
    except Exception as error:  # noqa: BLE001 - whatever eyes raise, the conversation goes on; its text may tell what is shown
        return StageError(Stage.LOOK, "look_failed", f"The picture can't be looked at: {type(error).__name__}.")


def _name(picture: Picture) -> bytes:
    return blake2b(picture.url.encode(), digest_size=16).digest()


def _now() -> float:
    return asyncio.get_running_loop().time()
