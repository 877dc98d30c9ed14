"""Speech to words, with whatever goes wrong as one typed error."""

from audio.types import Samples
from pipeline.engines import SpeechToText, Transcript
from pipeline.errors import Stage, StageError, failed


async def transcribe(
    engine: SpeechToText, audio: Samples, language: str | None, prompt: str
) -> Transcript | StageError:
    """Return the words in `audio`, or the error that stands in their way."""
    try:
        return await engine.transcribe(audio, language=language, prompt=prompt)
    except Exception as cause:  # noqa: BLE001 - whatever an engine raises becomes one typed error
        return failed(Stage.TRANSCRIBE, "The speech could not be transcribed", cause)
