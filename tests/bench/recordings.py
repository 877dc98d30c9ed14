"""The recordings that are measured with, and how to play one as a microphone hears it."""

import json
from dataclasses import dataclass
from pathlib import Path

from audio.pcm import read_wav, resample
from audio.types import INPUT_RATE, OUTPUT_RATE, Samples

SPEECH = Path(__file__).resolve().parent.parent / "data" / "speech"
IMAGES = SPEECH.parent / "images"
NO_SPEECH = frozenset({"noise", "music", "silence"})
REFLEXES = frozenset(
    {
        "en_s2p_what_time_is_it",
        "en_v2j_what_time_is_it",
        "en_s2p_whats_the_date",
        "en_s2p_timer_30s",
        "en_s2p_cancel_timer",
        "fr_s2p_quelle_heure",
    }
)
"""Commands and questions that no model is asked about, and that are answered in words."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A row of the index."""

    id: str
    kind: str
    lang: str
    text: str
    text_is_sure: bool
    speech_start_s: float
    """0 where there is no speech."""
    speech_end_s: float | None
    """None where there is no speech, or where its end isn't known to within 30 ms."""

    def heard(self) -> Samples:
        """Return its sound at INPUT_RATE, as an engine hears it."""
        return resample(*read_wav(SPEECH / f"{self.id}.wav"), INPUT_RATE)

    def sent(self) -> Samples:
        """Return its sound at OUTPUT_RATE, as a Realtime client sends it."""
        return resample(*read_wav(SPEECH / f"{self.id}.wav"), OUTPUT_RATE)


def recordings(*kinds: str) -> list[Recording]:
    """Return the recordings of these kinds, in the index's order."""
    rows = [json.loads(line) for line in (SPEECH / "index.jsonl").read_text().splitlines()]
    return [
        Recording(
            row["id"],
            row["kind"],
            row.get("lang") or "",
            row.get("text") or "",
            row.get("text_conf") in {"high", "medium"},
            row.get("speech_start_s") or 0.0,
            row["speech_end_s"] if row.get("end_conf") == "high" else None,
        )
        for row in rows
        if row["kind"] in kinds
    ]
