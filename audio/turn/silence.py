"""The turn detector for those who want none."""

from audio.types import Samples


class Silence:
    """Never thinks that the speaker is done, so only the length of a silence ends an utterance."""

    async def score(self, audio: Samples) -> float:
        """Return 0."""
        return 0.0

    async def warm(self) -> None:
        """There is no model to warm."""

    def close(self) -> None:
        """There is nothing to stop."""
