"""Time and date: the clock on the wall, and the handlers that read it aloud."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from tzlocal import get_localzone

from assistant.reflex.reflex import Handler, Match, Reflex
from assistant.reflex.responses import Responses
from pipeline.errors import ParleyError

_PLACES: Final = {
    "bangalore": "Asia/Kolkata",
    "beijing": "Asia/Shanghai",
    "boston": "America/New_York",
    "california": "America/Los_Angeles",
    "china": "Asia/Shanghai",
    "delhi": "Asia/Kolkata",
    "england": "Europe/London",
    "france": "Europe/Paris",
    "germany": "Europe/Berlin",
    "india": "Asia/Kolkata",
    "italy": "Europe/Rome",
    "japan": "Asia/Tokyo",
    "las vegas": "America/Los_Angeles",
    "miami": "America/New_York",
    "milan": "Europe/Rome",
    "mumbai": "Asia/Kolkata",
    "munich": "Europe/Berlin",
    "new york city": "America/New_York",
    "osaka": "Asia/Tokyo",
    "san francisco": "America/Los_Angeles",
    "scotland": "Europe/London",
    "seattle": "America/Los_Angeles",
    "spain": "Europe/Madrid",
    "texas": "America/Chicago",
    "utc": "UTC",
    "washington": "America/New_York",
}
"""What people say that isn't a zone's own city."""


def zone_named(name: str) -> tzinfo:
    """Return the time zone of this name (IANA's); empty, the machine's. Raises ParleyError where there is none."""
    try:
        return ZoneInfo(name) if name else get_localzone()
    except (ZoneInfoNotFoundError, ValueError) as error:
        if not name:
            return UTC
        raise ParleyError(
            f'[reflexes] timezone: there is no time zone {name!r}. Write one such as "Europe/Berlin", or leave it '
            "empty for this machine's own."
        ) from error


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, here."""

    zone: tzinfo
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    """In UTC."""

    def local(self) -> datetime:
        """Return the time of the clock on the wall, with its zone."""
        return self.now().astimezone(self.zone)


def handlers(clock: Clock, responses: Responses) -> Mapping[str, Handler]:
    """Return what answers questions for the time and the date."""

    def time(match: Match) -> Reflex | None:
        place = match.words("place")
        if not place:
            now = clock.local()
            return Reflex(match.intent, responses.say(match.language, match.intent, time=now))
        zone = _zone_at(place)
        if zone is None:
            return None
        there = clock.now().astimezone(ZoneInfo(zone))
        return Reflex(match.intent, responses.say(match.language, match.intent, "place", time=there, place=place))

    def date(match: Match) -> Reflex:
        ask = match.words("ask")
        day = clock.local() + timedelta(days={"tomorrow": 1, "yesterday": -1}.get(ask, 0))
        return Reflex(match.intent, responses.say(match.language, match.intent, ask or "default", date=day))

    return {"HassGetCurrentTime": time, "HassGetCurrentDate": date}


def _zone_at(place: str) -> str | None:
    place = " ".join(place.casefold().replace(",", " ").replace(".", "").split()).removeprefix("the ")
    return _PLACES.get(place) or _cities().get(place)


@lru_cache(maxsize=1)
def _cities() -> Mapping[str, str]:
    regions = ("Africa/", "America/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/")
    zones = sorted(name for name in available_timezones() if name.startswith(regions))
    return {name.rsplit("/", 1)[1].replace("_", " ").casefold(): name for name in zones}


def warm() -> None:
    """Find out which cities there are: it takes a few milliseconds, once."""
    _cities()
