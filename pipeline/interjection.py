"""What the user's voice during a reply says: the recogniser is asked, and the session is told."""

from typing import Final

from audio.types import Samples
from pipeline.backchannel import what_was_said
from pipeline.context import Context
from pipeline.echo import says_the_same
from pipeline.engines import SpeechToText, Transcript
from pipeline.lanes import Lane
from pipeline.moves import AskWhatWasSaid, Said, WasSaid
from pipeline.transcribe import transcribe

RUN_UP_S: Final = 0.2
"""Sound before a voice that a recogniser needs to get its first word."""


async def find_what_was_said(
    context: Context, asked: AskWhatWasSaid, audio: Samples, fast: SpeechToText | None, reply: str
) -> None:
    """Post WasSaid: what the sound means for the reply that is saying `reply`.

    Without a fast recogniser of the user's language, that stays unknown.
    """
    said = Said.UNKNOWN
    if fast is not None:
        async with context.engines.lanes.enter(Lane.WORDS):
            heard = await transcribe(fast, audio, "en", "")
        if isinstance(heard, Transcript):
            said = Said.NOTHING if says_the_same(heard.text, reply) else what_was_said(heard, ended=asked.ended)
    await context.post(WasSaid(asked.contest, asked.ended, said))
