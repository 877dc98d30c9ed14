"""`parley ask`: a recorded (or typed) question, its answer, and how long that took."""

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final

import click
import numpy as np

from audio.pcm import WavError, read_wav, resample, write_wav
from audio.types import OUTPUT_RATE, Samples
from clients.exchange import Exchange, Listener
from clients.link import URL, LinkError, Lost, Message
from clients.resuming import ResumingLink, connect_for_good
from clients.showing import ShowError, filming, read_pictures, video_file
from clients.speech_end import DEFINITION, find_speech_end
from clients.tls import EXPOSED, TrustError, is_exposed, trust_options, trusting
from vision.types import Frame

_CHUNK: Final = OUTPUT_RATE // 50  # 20 ms, as a microphone delivers it
_ROOM: Final = 10 ** (-75 / 20)  # a quiet room, RMS: a recording is followed by a room, never by digital silence
_PATIENCE_S: Final = 6.0
_TIMINGS_WAIT_S: Final = 0.5
_TRANSCRIPT_WAIT_S: Final = 3.0
_UNSEEN: Final = "The server has not seen the video: it takes no pictures of a camera."


async def ask(  # noqa: PLR0913 - each is a fact of the question
    url: str,
    samples: Samples | None = None,
    speech_end_s: float | None = None,
    *,
    text: str | None = None,
    pictures: Sequence[str] = (),
    frames: AsyncIterable[Frame] | None = None,
    token: str | None = None,
    trust: ssl.SSLContext | None = None,
    session: Message | None = None,
    timeout_s: float = 30.0,
    patience_s: float = _PATIENCE_S,
) -> Exchange:
    """Put one question to a server and return its answer.

    `samples` (24 kHz) are sent in real time, then a quiet room until the answer ended; `text` is a typed question
    instead. `pictures` (data URLs) go with either. `frames` are what a camera shows meanwhile, JPEG; a typed question
    comes after the last of them. `speech_end_s` says where the speech ends in the samples; without it,
    clients.speech_end finds it. `session` holds keys of the protocol's session object that shall be other than the
    server's defaults. `patience_s` is how long after the samples' end a server that heard no words is waited for;
    `timeout_s`, how long one that is at work. When the connection breaks, it is made anew and the answer goes on; not
    in the middle of spoken words, of which some would be missing. Raises LinkError, or what `frames` raise.
    """
    if (samples is None) == (text is None):
        raise ValueError("Give either samples or a text.")
    async with connect_for_good(url, token, trust) as link:
        if session is not None:
            await link.update(session)
        asking = _Asking(link, asyncio.get_running_loop(), pictures, frames)
        return await asking.run(samples, speech_end_s, text, timeout_s, patience_s)


class _Asking:
    """One question under way."""

    def __init__(
        self,
        link: ResumingLink,
        loop: asyncio.AbstractEventLoop,
        pictures: Sequence[str],
        frames: AsyncIterable[Frame] | None,
    ) -> None:
        self._link = link
        self._loop = loop
        self._pictures = pictures
        self._frames = frames
        self._looks = True
        self._listener = Listener()
        self._reference: float | None = None
        self._wants_timings = True
        self._sent = asyncio.Event()
        self._changed = asyncio.Event()
        self._over = asyncio.Event()

    async def run(
        self, samples: Samples | None, speech_end_s: float | None, text: str | None, timeout_s: float, patience_s: float
    ) -> Exchange:
        if samples is not None and speech_end_s is None:
            speech_end_s = find_speech_end(samples, OUTPUT_RATE)
        await self._link.update({"parley": {"timings": True}}, event_id="ask_timings")
        if self._frames is not None:
            await self._link.update({"parley": {"binary": True}}, event_id="ask_binary")
        try:
            async with asyncio.TaskGroup() as group:
                ears = group.create_task(self._listen())
                eyes = group.create_task(self._look())
                if text is None:
                    assert samples is not None
                    mouth = group.create_task(self._speak(samples, speech_end_s))
                else:
                    mouth = group.create_task(self._type(text, eyes))
                await self._await_answer(timeout_s, patience_s)
                self._over.set()
                ears.cancel()
                eyes.cancel()
                await mouth
        except* (LinkError, ShowError) as group_error:
            raise group_error.exceptions[0] from None
        return self._listener.exchange(self._reference, spoken=text is None, speech_end_s=speech_end_s)

    async def _look(self) -> None:
        """Send what the camera shows, as long as the server looks at it."""
        if self._frames is None:
            return
        async for frame in self._frames:
            if not self._looks:
                return
            await self._link.append_picture(frame.data, frame.at)

    async def _type(self, text: str, eyes: asyncio.Task[None]) -> None:
        await eyes  # what the question is about
        self._reference = self._loop.time()
        await self._link.say(text, self._pictures)
        self._sent.set()

    async def _speak(self, samples: Samples, speech_end_s: float | None) -> None:
        """Send each chunk at the moment at which a microphone would have filled it."""
        if self._pictures:
            await self._link.show(self._pictures)
        begin, position = self._loop.time(), 0
        last_voiced = samples.size if speech_end_s is None else round(speech_end_s * OUTPUT_RATE)
        async for chunk in _with_room(samples):
            position += chunk.size
            await asyncio.sleep(begin + position / OUTPUT_RATE - self._loop.time())
            await self._link.append_audio(chunk)
            if self._link.returns and not self._sent.is_set():
                raise Lost("The connection broke off in the middle of the question, and some of it is lost. Ask again.")
            if self._reference is None and position >= last_voiced:
                self._reference = self._loop.time()
            if position >= samples.size:
                self._sent.set()
            if self._over.is_set():
                return

    async def _listen(self) -> None:
        async for event in self._link:
            if event["type"] == "error":
                self._take_error(event)
            self._listener.take(event, self._loop.time())
            self._changed.set()

    def _take_error(self, event: Message) -> None:
        error = event.get("error") or {}
        match error.get("event_id"), error.get("code"):
            case "ask_resume", _:  # a server that ends a conversation with its connection
                pass
            case "ask_timings", _:  # or keeps no such account
                self._wants_timings = False
            case ("ask_binary", _) | (_, "unsupported_picture"):
                self._looks = False
                self._listener.error = _UNSEEN
            case _, "invalid_event" if not self._looks:  # a picture that was on its way
                pass
            case _:
                self._listener.error = str(error.get("message"))

    async def _await_answer(self, timeout_s: float, patience_s: float) -> None:
        """Wait until the answer to the whole question has ended, or there is none to wait for."""
        await self._sent.wait()
        listener, end = self._listener, self._loop.time()
        while not self._answered():
            busy = listener.expects_answer_since(self._reference or 0.0)
            if not await self._change_before(end + (timeout_s if busy else patience_s)):
                if busy:
                    raise LinkError(
                        f"The server did not finish its answer within {timeout_s:g} s. See its log, or allow more with "
                        "--timeout."
                    )
                return
        done = self._loop.time()
        while not listener.heard and listener.committed_at and await self._change_before(done + _TRANSCRIPT_WAIT_S):
            pass
        while self._wants_timings and not listener.timed and await self._change_before(done + _TIMINGS_WAIT_S):
            pass

    def _answered(self) -> bool:
        """Whether an answer ended that began after the question's last word (an earlier one was cut in)."""
        began = self._listener.responded_at
        return self._listener.finished and began is not None and began >= (self._reference or 0.0)

    async def _change_before(self, deadline: float) -> bool:
        """Wait for the next event; say whether one came."""
        self._changed.clear()
        try:
            async with asyncio.timeout_at(deadline):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True


async def _with_room(samples: Samples) -> AsyncIterator[Samples]:
    """Yield the samples in chunks, then a quiet room's noise without end."""
    noise = np.random.default_rng(0)
    for at in range(0, samples.size, _CHUNK):
        yield samples[at : at + _CHUNK]
    while True:
        yield (noise.standard_normal(_CHUNK) * _ROOM).astype(np.float32)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("wav", required=False, type=click.Path(path_type=Path))
@click.option("--text", help="Type the question instead of playing a recording.")
@click.option(
    "--image",
    "images",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Show this picture with the question (JPEG, PNG or WebP); may be given several times.",
)
@click.option(
    "--video",
    type=click.Path(path_type=Path),
    help="Show this video as a camera would, while the recording is played or before the question is typed.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the reply's sound to this WAV file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@click.option("--url", default=URL, show_default=True, help="The server's address.")
@click.option("--token", envvar="PARLEY_TOKEN", show_envvar=True, help="The server's token, where it wants one.")
@trust_options
@click.option("--timeout", "timeout_s", default=30.0, show_default=True, help="Seconds to wait for an answer.")
def command(  # noqa: PLR0913, PLR0917 - click passes every option
    wav: Path | None,
    text: str | None,
    images: tuple[Path, ...],
    video: Path | None,
    out: Path | None,
    as_json: bool,
    url: str,
    token: str | None,
    ca: Path | None,
    fingerprint: str | None,
    timeout_s: float,
) -> None:
    """Ask one question and print the answer with its timings.

    WAV is a recording of the question, of any rate: it is sent in real time, as a microphone would.
    """
    if (wav is None) == (text is None):
        raise click.UsageError('Give a recording, or a question with --text "…".')
    try:
        samples = None if wav is None else resample(*read_wav(wav), OUTPUT_RATE)
        pictures = read_pictures(images)
        trust = trusting(url, ca, fingerprint)
        if is_exposed(url):
            click.echo(EXPOSED, err=True)

        async def asking() -> Exchange:
            async with nullcontext() if video is None else filming(video_file(video)) as frames:
                return await ask(
                    *(url, samples),
                    text=text,
                    pictures=pictures,
                    frames=frames,
                    token=token,
                    trust=trust,
                    timeout_s=timeout_s,
                )

        exchange = asyncio.run(asking())
        if out is not None and exchange.samples.size:
            write_wav(out, exchange.samples, OUTPUT_RATE)
    except (WavError, TrustError, ShowError) as error:
        _fail(str(error), 2)
    except LinkError as error:
        _fail(str(error), 1)
    except OSError as error:
        _fail(f"Cannot write {out}: {error.strerror}.", 2)
    if as_json:
        click.echo(json.dumps(exchange.as_json() | {"speech_end_is": DEFINITION}, ensure_ascii=False))
    elif exchange.answered:
        _print(exchange, out)
        if exchange.status != "failed" and exchange.error is not None:
            click.echo(exchange.error, err=True)
    if not exchange.answered:
        heard = "No words were heard" if exchange.error is None else f"{exchange.error} No answer came"
        _fail(f"{heard} in {wav}." if wav is not None else f"{heard} to the typed question.", 3)
    if exchange.status == "failed":
        _fail(f"The server failed to answer: {exchange.error}", 1)


def _print(exchange: Exchange, out: Path | None) -> None:
    if exchange.transcript:
        click.echo(f"You:    {exchange.transcript}")
    click.echo(f"Parley: {exchange.reply}")
    if exchange.voice_to_voice_s is not None:
        click.echo(f"Voice to voice {exchange.voice_to_voice_s * 1000:.0f} ms", nl=False)
    elif exchange.first_text_s is not None:
        click.echo(f"First words after {exchange.first_text_s * 1000:.0f} ms", nl=False)
    click.echo(f" · reply {exchange.reply_s:.1f} s" + (f", written to {out}" if out and exchange.samples.size else ""))
    stages = [f"{name.removesuffix('_s')} {at * 1000:.0f}" for name, at in exchange.timings.items() if at is not None]
    if stages:
        click.echo("Server, ms after the last voiced sample: " + " · ".join(stages))


def _fail(sentence: str, code: int) -> None:
    click.echo(sentence, err=True)
    sys.exit(code)
