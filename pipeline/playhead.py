"""Where a client is in playing what it was sent."""


class Playhead:
    """Follows sound that is played as it arrives, at real time. `now` is seconds of any steady clock."""

    def __init__(self) -> None:
        self.sent_s = 0.0
        """Seconds of sound sent so far."""
        self._silent_at = 0.0  # when what was sent will have been played

    def send(self, seconds: float, now: float) -> None:
        """Count sound that is sent now; after a gap it plays at once."""
        self._silent_at = max(self._silent_at, now) + seconds
        self.sent_s += seconds

    def correct(self, played_s: float, now: float) -> None:
        """Take the client's word for how much it has played; at most all that was sent."""
        self._silent_at = now + self.sent_s - min(max(0.0, played_s), self.sent_s)

    def ahead_s(self, now: float) -> float:
        """Return the seconds of sound that were sent and not yet played."""
        return max(0.0, self._silent_at - now)

    def played_s(self, now: float) -> float:
        """Return the seconds of sound that have been played."""
        return self.sent_s - self.ahead_s(now)
