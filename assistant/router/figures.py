"""What was measured of a backend: the time to its first token, tokens a second, errors, over its last requests."""

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

KEPT: Final = 200
"""Requests that count."""
_FEWEST: Final = 3
"""Requests that say something."""
_FEWEST_TOKENS: Final = 8
"""An answer that is shorter says nothing of the speed."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request that came to an end; those that were called off are none."""

    at: datetime
    first_token_s: float | None
    """None: no token came."""
    tokens: int = 0
    seconds: float = 0.0
    """From the first token to the last."""
    error: str = ""
    """The kind of error that ended it, empty where there was none."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures, None where there are too few requests to tell."""

    requests: int
    errors: int
    first_token_p50_s: float | None
    first_token_p95_s: float | None
    tokens_per_s: float | None
    """The median."""
    last_error: str
    """Of the last request that failed, while it is among those that count."""
    last_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "requests": self.requests,
            "errors": self.errors,
            "first_token_p50_s": _rounded(self.first_token_p50_s),
            "first_token_p95_s": _rounded(self.first_token_p95_s),
            "tokens_per_s": _rounded(self.tokens_per_s),
            "last_error": self.last_error or None,
            "last_at": None if self.last_at is None else self.last_at.isoformat(),
        }


class Figures:
    """The last requests of one backend, the newest last. `on_sample` is told of each new one."""

    def __init__(self, earlier: Iterable[Sample] = ()) -> None:
        self._samples: deque[Sample] = deque(earlier, maxlen=KEPT)
        self.on_sample: Callable[[Sample], None] = lambda _sample: None

    def add(self, sample: Sample) -> None:
        """Count a request."""
        self._samples.append(sample)
        self.on_sample(sample)

    def recall(self, earlier: Iterable[Sample]) -> None:
        """Put requests of an earlier run before those of this one."""
        self._samples = deque([*earlier, *self._samples], maxlen=KEPT)

    def first_token_s(self, quantile: float) -> float | None:
        """Return the time to the first token that so many (0..1) stay below; None while too few were measured."""
        return _quantile([each.first_token_s for each in self._samples if each.first_token_s is not None], quantile)

    def summary(self) -> Summary:
        """Return all figures."""
        failed = [each for each in self._samples if each.error]
        speeds = [
            each.tokens / each.seconds for each in self._samples if each.tokens >= _FEWEST_TOKENS and each.seconds > 0
        ]
        return Summary(
            requests=len(self._samples),
            errors=len(failed),
            first_token_p50_s=self.first_token_s(0.5),
            first_token_p95_s=self.first_token_s(0.95),
            tokens_per_s=_quantile(speeds, 0.5),
            last_error=failed[-1].error if failed else "",
            last_at=self._samples[-1].at if self._samples else None,
        )


def sample_now(first_token_s: float | None, *, tokens: int = 0, seconds: float = 0.0, error: str = "") -> Sample:
    """Return a request that has just ended."""
    return Sample(datetime.now(UTC), first_token_s, tokens, seconds, error)


def _quantile(values: list[float], quantile: float) -> float | None:
    """Return the smallest value that at least so many are not above."""
    if len(values) < _FEWEST:
        return None
    return sorted(values)[max(0, math.ceil(quantile * len(values)) - 1)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
