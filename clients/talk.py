"""`parley talk`: a conversation in the terminal, by microphone and loudspeaker."""

import asyncio
import ssl
import sys
from collections.abc import AsyncIterable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import click
import numpy as np
from rich.console import Console
from rich.live import Live

from audio.devices import DeviceError, Microphone, Speaker, list_devices
from audio.types import OUTPUT_RATE
from clients.captions import Captions
from clients.link import URL, Link, LinkError, Message, decode
from clients.playback import Playback
from clients.resuming import connect_for_good
from clients.showing import ShowError, filming
from clients.tls import EXPOSED, TrustError, is_exposed, trust_options, trusting
from vision.types import Frame

Filming: TypeAlias = Callable[[], AbstractAsyncContextManager[AsyncIterable[Frame]]]
"""Opens a camera. It raises ShowError, and so do its frames."""

_FRAMES_A_SECOND: Final = 2.0
_HELP: Final = {"help_option_names": ["-h", "--help"]}


class Talk:
    """One conversation: joins the link, the devices and the captions."""

    def __init__(  # noqa: PLR0913 - what a conversation is held with
        self,
        link: Link,
        microphone: Microphone,
        speaker: Speaker,
        captions: Captions,
        *,
        half: bool,
        camera: Filming | None = None,
    ) -> None:
        self._link = link
        self._microphone = microphone
        self._speaker = speaker
        self._captions = captions
        self._half = half
        self._camera = camera
        self._may_look = asyncio.Event()
        self._playback = Playback()
        self._unwanted: set[str] = set()
        self._response: str | None = None

    async def run(self) -> None:
        """Talk until the server or a device goes away. Raises LinkError or DeviceError."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen())
                group.create_task(self._take_events())
                if self._camera is not None:
                    group.create_task(self._watch(self._camera))
        except* (LinkError, DeviceError) as failed:
            raise failed.exceptions[0] from None

    async def _listen(self) -> None:
        while True:
            samples = await self._microphone.read()
            # Half duplex: a loudspeaker beside the microphone must not interrupt itself.
            heard = np.zeros_like(samples) if self._half and self._speaker.queued_s > 0 else samples
            await self._link.append_audio(heard)

    async def _watch(self, camera: Filming) -> None:
        """Send what the camera shows, except while the user wants not to be seen; then it is closed."""
        await self._link.update({"parley": {"binary": True}}, event_id="talk_binary")
        self._may_look.set()
        while await self._may_look.wait():
            try:
                async with camera() as frames:
                    await self._show(frames)
            except ShowError as error:
                self._captions.warn(f"{error} The conversation goes on without a camera.")
                return
            finally:
                self._captions.watched = False

    async def _show(self, frames: AsyncIterable[Frame]) -> None:
        async for frame in frames:
            if not self._may_look.is_set():
                return
            self._captions.watched = True
            await self._link.append_picture(frame.data, frame.at)

    def _look(self, *, on: bool) -> None:
        """Obey the user, who said whether they want to be seen."""
        if on:
            self._may_look.set()
        else:
            self._may_look.clear()
            self._captions.watched = False
            self._captions.warn("The camera is off, as you asked.")

    async def _take_events(self) -> None:
        async for event in self._link:
            await self._take(event)

    async def _take(self, event: Message) -> None:  # noqa: PLR0912 - a table of events
        captions = self._captions
        match event["type"]:
            case "input_audio_buffer.speech_started":
                captions.floor = "hearing"
                await self._stop_playing()
            case "input_audio_buffer.speech_stopped":
                captions.floor = "thinking"
            case "input_audio_buffer.cleared":
                captions.floor = "listening"
                captions.understood("")
            case "conversation.item.input_audio_transcription.delta":
                captions.heard(event.get("delta") or "")
            case "conversation.item.input_audio_transcription.completed":
                captions.understood(event["transcript"])
            case "response.created":
                self._response = event["response"]["id"]
            case "response.output_audio_transcript.delta" | "response.output_text.delta":
                captions.said(event["delta"])
            case "response.output_audio.delta" if event["response_id"] not in self._unwanted:
                captions.floor = "speaking"
                samples = decode(event["delta"])
                self._playback.queue(event["item_id"], samples.size / OUTPUT_RATE)
                await self._speaker.write(samples)
            case "response.output_audio.done" if event["response_id"] not in self._unwanted:
                self._speaker.finish()
            case "response.done":
                self._end_answer(event["response"])
            case "parley.camera" if self._camera is not None:
                self._look(on=event["on"])
            case "error":
                self._take_error(event["error"])
            case _:
                pass

    def _take_error(self, error: Message) -> None:
        match error.get("event_id"), error.get("code"):
            case (_, "unsupported_picture") | ("talk_binary", _):
                if self._may_look.is_set():
                    self._captions.warn("The server takes no pictures of a camera: it is off.")
                self._may_look.clear()
                self._captions.watched = False
            case _, "camera_off":  # a picture that was on its way
                pass
            case _, "invalid_event" if self._camera is not None and not self._may_look.is_set():
                pass  # likewise, where binary messages aren't known
            case _:
                self._captions.warn(str(error.get("message")))

    async def _stop_playing(self) -> None:
        """Barge-in: be silent at once, and tell the server how much of its answer was heard."""
        if self._response is not None:
            self._unwanted.add(self._response)
        cut = self._playback.cut(self._speaker.flush())
        if cut is not None:
            await self._link.truncate(cut.item_id, cut.played_s - self._speaker.latency_s)

    def _end_answer(self, response: Message) -> None:
        self._unwanted.discard(response["id"])
        self._response = None
        match response["status"]:
            case "cancelled":
                self._captions.interrupted(_words(response))
            case "failed":
                error = (response.get("status_details") or {}).get("error") or {}
                self._captions.answered()
                self._captions.warn(str(error.get("message") or "The server could not answer. See its log."))
            case _:
                self._captions.answered()
        if self._captions.floor != "hearing":
            self._captions.floor = "listening"


def _words(response: Message) -> str:
    parts = [part for item in response.get("output") or [] for part in item.get("content") or []]
    return "".join(part.get("transcript") or part.get("text") or "" for part in parts)


@click.command(context_settings=_HELP)
@click.option("--url", default=URL, show_default=True, help="The server's address.")
@click.option("--token", envvar="PARLEY_TOKEN", show_envvar=True, help="The server's token, where it wants one.")
@trust_options
@click.option("--input", "microphone", metavar="NAME", help="The microphone: a number or a part of its name.")
@click.option("--output", "speaker", metavar="NAME", help="The loudspeaker: a number or a part of its name.")
@click.option("--camera", metavar="SOURCE", help="Show it a camera: a device's number, or an address (rtsp, http).")
@click.option("--half-duplex", "half", is_flag=True, help="Don't listen while Parley speaks (no headphones at hand).")
@click.option("--devices", is_flag=True, help="List microphones and loudspeakers, and exit.")
def command(  # noqa: PLR0913, PLR0917 - click passes every option
    url: str,
    token: str | None,
    ca: Path | None,
    fingerprint: str | None,
    microphone: str | None,
    speaker: str | None,
    camera: str | None,
    half: bool,
    devices: bool,
) -> None:
    """Talk with Parley by microphone and loudspeaker.

    Wear headphones, or give --half-duplex: a terminal can't take the loudspeaker's sound out of the microphone's. The
    page in a browser can.
    """
    try:
        if devices:
            click.echo(list_devices())
            return
        trust = trusting(url, ca, fingerprint)
        if is_exposed(url):
            click.echo(EXPOSED, err=True)
        asyncio.run(_talk(url, token, trust, microphone, speaker, camera, half=half))
    except KeyboardInterrupt:
        click.echo("Goodbye.")
    except LinkError as error:
        _fail(str(error), 1)
    except (DeviceError, TrustError) as error:
        _fail(str(error), 2)


async def _talk(  # noqa: PLR0913, PLR0917 - what the command was told
    url: str,
    token: str | None,
    trust: ssl.SSLContext | None,
    microphone: str | None,
    speaker: str | None,
    camera: str | None,
    *,
    half: bool,
) -> None:
    console = Console()
    captions = Captions(console.print)
    film = None if camera is None else partial(filming, camera, rate=_FRAMES_A_SECOND)
    async with connect_for_good(url, token, trust) as link, Speaker(speaker) as out, Microphone(microphone) as into:
        with Live(captions, console=console, refresh_per_second=12, transient=True):
            await Talk(link, into, out, captions, half=half, camera=film).run()


def _fail(sentence: str, code: int) -> None:
    click.echo(sentence, err=True)
    sys.exit(code)
