"""How a response ends, and what its client is told of that."""

import logging
from dataclasses import dataclass
from typing import Literal

from pipeline.engines import Finish
from pipeline.errors import StageError
from pipeline.events import ResponseEnded, Usage
from pipeline.history import Item
from pipeline.reply import Reply
from pipeline.turn import Done

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a response, and why."""

    status: Literal["completed", "cancelled", "failed", "incomplete"]
    reason: Literal["turn_detected", "client_cancelled", "max_output_tokens"] | None = None
    finish: Finish | None = None
    error: StageError | None = None

    def item(self, reply: Reply, now: float) -> Item:
        """Return the message as it stands from now on."""
        return reply.item("completed" if self.status == "completed" else "incomplete", now)

    def told(self, reply: Reply, item: Item) -> ResponseEnded:
        """Return the event that tells of it."""
        finish, error = self.finish, self.error
        usage = Usage() if finish is None else Usage(finish.input_tokens, finish.cached_tokens, finish.output_tokens)
        code, message = (None, None) if error is None else (error.code, error.message)
        return ResponseEnded(reply.response_id, item, reply.text, self.status, self.reason, code, message, usage)


def outcome(done: Done) -> Outcome:
    """Return what a turn has come to that ended by itself; a failure is logged."""
    finish, error = done.finish, done.error
    if error is not None:
        log.error("A turn failed at %s: %s", error.stage, type(error.__cause__).__name__)
        # An engine's own words may quote the user's.
        log.debug("%s", error.message, exc_info=error.__cause__)
        return Outcome("failed", finish=finish, error=error)
    if finish is not None and finish.reason == "length":
        return Outcome("incomplete", "max_output_tokens", finish)
    return Outcome("completed", finish=finish)
