"""Masks and budgets as the configuration has them."""

import locale
from collections.abc import Iterable
from typing import Protocol
from zoneinfo import ZoneInfo

from assistant.config import Config, ConfigError
from assistant.privacy.masking import Masks
from assistant.router.budget import ALL, Budgets, Limit, Price


class Priced(Protocol):
    """A backend, as far as its price goes."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def price_in(self) -> float:
        """Of a million tokens that are sent."""
        ...

    @property
    def price_out(self) -> float:
        """Of a million tokens that come back."""
        ...

    @property
    def currency(self) -> str:
        """Of both."""
        ...


def build_masks(config: Config) -> Masks | None:
    """Return what hides personal data, or None where the owner wants none hidden."""
    settings = config.privacy
    return Masks(settings.names, settings.region or _region()) if settings.mask else None


def build_budgets(config: Config, backends: Iterable[Priced] = ()) -> Budgets:
    """Return what may be spent. Raises ConfigError where prices and budgets can't be compared, or a name is wrong."""
    settings, priced = config.budget, list(backends)
    for one in priced:
        if one.currency != settings.currency and (one.price_in or one.price_out):
            raise ConfigError(
                f"The prices of {one.name} are in {one.currency}, and [budget] currency is {settings.currency}: "
                "give all of them in one currency."
            )
    names = {one.name for one in priced}
    for name in settings.backends:
        if name not in names:
            raise ConfigError(f"[budget.backends.{name}]: there is no backend of that name.")
    limits = {name: _limit(one.daily, one.monthly) for name, one in settings.backends.items()}
    return Budgets(
        {**limits, ALL: _limit(settings.daily, settings.monthly)},
        prices={one.name: Price(one.price_in, one.price_out) for one in priced},
        currency=settings.currency,
        zone=ZoneInfo(settings.timezone) if settings.timezone else None,
    )


def _limit(daily: float, monthly: float) -> Limit:
    return Limit(daily or None, monthly or None)


def _region() -> str:
    """Return the country of the system's language, such as DE of de_DE.UTF-8."""
    country = (locale.getlocale()[0] or "").partition("_")[2]
    return country if len(country) == 2 and country.isalpha() else "US"
