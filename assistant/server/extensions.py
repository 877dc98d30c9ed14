"""What the wire can do beyond the protocol, and how a client asks for it. docs/extensions.md describes all of it."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import RequestError


@dataclass(frozen=True, slots=True)
class Extensions:
    """Those that are on."""

    timings: bool = False
    """`parley.turn.timings` after each turn."""
    heard: bool = False
    """`parley.heard` while a reply is played."""
    binary: bool = False
    """Sound as binary messages."""
    resume: bool = False
    """The session survives its socket."""

    def updated(self, given: Any) -> "Extensions":
        """Return what holds after `session.update` with this `parley`. Raises RequestError."""
        if given is None:
            return Extensions()
        if not isinstance(given, dict):
            raise RequestError(
                "invalid_value", 'session.parley is an object such as {"heard": true}.', "session.parley"
            )
        known = [field.name for field in dataclasses.fields(self)]
        for name, wanted in given.items():
            param = f"session.parley.{name}"
            if name not in known:
                message = f"There is no extension {name!r}. Known: {', '.join(known)}."
                raise RequestError("unknown_parameter", message, param)
            if not isinstance(wanted, bool):
                raise RequestError("invalid_value", f"{param} is true or false.", param)
        return dataclasses.replace(self, **given)

    def wire(self) -> dict[str, bool]:
        """Return those that are on, as the session object shows them."""
        return {name: True for name, on in dataclasses.asdict(self).items() if on}


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid")
    event_id: str | None = None


class PlayedEvent(_Event):
    """The client has played so much of a message's sound."""

    type: Literal["parley.played"]
    item_id: str
    played_ms: float = Field(ge=0, allow_inf_nan=False)


class AcknowledgeEvent(_Event):
    """The client has received all up to this number."""

    type: Literal["parley.ack"]
    received: int = Field(ge=0)


class ConversationRetrieveEvent(_Event):
    """The client wants to see the whole conversation."""

    type: Literal["parley.conversation.retrieve"]
