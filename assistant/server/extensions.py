"""What the wire can do beyond the protocol, and how a client asks for it. docs/extensions.md describes all of it."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import RequestError

_NAME: Final = re.compile(r"\S(?:.{0,62}\S)?")


@dataclass(frozen=True, slots=True)
class Extensions:
    """Those that are on."""

    timings: bool = False
    """`parley.turn.timings` after each turn."""
    heard: bool = False
    """`parley.heard` while a reply is played."""
    binary: bool = False
    """Sound as binary messages, and the camera's pictures."""
    resume: bool = False
    """The session survives its socket."""
    route: bool | str = False
    """`parley.route`, `parley.bridge` and `parley.adjusted`; a name is also a wish who is to answer."""

    scene: bool = False
    """`parley.scene` and `parley.watch`: what the camera shows."""

    @property
    def wish(self) -> str:
        """Who is to answer: a preset, or a backend's name; empty where that is left to the server."""
        return self.route if isinstance(self.route, str) else ""

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
            if name == "route" and isinstance(wanted, str):
                if not _NAME.fullmatch(wanted):
                    message = f'{param} is true, false, or the name of a preset or a backend, such as "private".'
                    raise RequestError("invalid_value", message, param)
            elif not isinstance(wanted, bool):
                raise RequestError("invalid_value", f"{param} is true or false.", param)
        return dataclasses.replace(self, **given)

    def wire(self) -> dict[str, bool | str]:
        """Return those that are on, as the session object shows them."""
        return {name: on for name, on in dataclasses.asdict(self).items() if on}


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


class CameraEvent(_Event):
    """The client's camera is on, or it is off."""

    type: Literal["parley.camera"]
    on: bool


class ConversationRetrieveEvent(_Event):
    """The client wants to see the whole conversation."""

    type: Literal["parley.conversation.retrieve"]
