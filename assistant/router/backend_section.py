"""What `[[backends]]` may hold in the configuration, and what is wrong with it."""

import re
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from assistant.router.decision import FAR
from assistant.router.kinds import Kind
from assistant.router.parts import Place
from assistant.router.places import place_of_host

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_LIKE_A_KEY: Final = re.compile(r"(sk|pk|gsk|xai|hf|AIza|ghp)[-_]?[A-Za-z0-9_-]{16,}")
_TAKEN: Final = frozenset({"device", "embedded", "reflex", "parley"})
_USUAL: Final = {"http": 80, "https": 443}

_Quality = Annotated[float, Field(ge=0, le=1)]


class BackendSection(BaseModel):
    """A model elsewhere, as the owner describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    url: str
    model: str = Field(min_length=1)
    key_env: str = ""
    place: Literal["device", "lan", "cloud"] | None = None
    vision: bool = False
    tools: bool = True
    json_schema: bool = True
    context_tokens: int = Field(default=8192, ge=512)
    price_in: float = Field(default=0.0, ge=0)
    price_out: float = Field(default=0.0, ge=0)
    currency: str = "USD"
    weight: float = Field(default=1.0, gt=0)
    quality: _Quality | dict[str, _Quality] = 0.6
    concurrency: int = Field(default=256, ge=1)
    connect_s: float = Field(default=3.0, gt=0)
    first_s: float = Field(default=15.0, gt=0)
    between_s: float = Field(default=10.0, gt=0)
    whole_s: float = Field(default=120.0, gt=0)
    slow_s: float = Field(default=8.0, gt=0)
    extra: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _a_short_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} can't be a name: take up to 40 small letters, digits, dots, hyphens.")
        if name in _TAKEN:
            raise ValueError(f"The name {name!r} has a meaning of its own: take another.")
        return name

    @field_validator("url")
    @classmethod
    def _an_address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            port_is_valid = parts.port != 0
        except ValueError:
            port_is_valid = False
        if not port_is_valid or parts.scheme not in _USUAL or not parts.hostname:
            raise ValueError("It is no address: write it as http://HOST:PORT/v1 or https://HOST/v1.")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("An address holds no key and no password: name a variable that has it in key_env.")
        if parts.path.rstrip("/").endswith("/chat/completions"):
            raise ValueError("Leave out /chat/completions: it is added.")
        return url.rstrip("/")

    @field_validator("key_env")
    @classmethod
    def _a_variable(cls, name: str) -> str:
        if name and (not _VARIABLE.fullmatch(name) or _LIKE_A_KEY.fullmatch(name)):
            # It isn't repeated: it may be the key itself.
            raise ValueError(
                "It is the NAME of an environment variable, such as OPENAI_API_KEY: the key itself never stands in a "
                "file. If one did, it should be replaced."
            )
        return name

    @field_validator("currency")
    @classmethod
    def _a_currency(cls, currency: str) -> str:
        if not re.fullmatch(r"[A-Z]{3}", currency):
            raise ValueError(f"{currency!r} is no currency: write its three letters, such as USD or EUR.")
        return currency

    @field_validator("quality")
    @classmethod
    def _kinds_that_there_are(cls, quality: float | dict[str, float]) -> float | dict[str, float]:
        unknown = set() if isinstance(quality, float) else quality.keys() - {*Kind, "default"}
        if unknown:
            kinds = ", ".join(Kind)
            raise ValueError(f"There is no kind of turn {min(unknown)!r}. There are: default, {kinds}.")
        return quality

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        known = place_of_host(self._parts.hostname or "")
        if self.place is not None and known is not None and FAR[self.place] < FAR[known]:
            raise ValueError(f'place is "{self.place}", but {self.host} is farther away: its place is "{known}".')
        if self._parts.scheme == "http" and known in {None, "cloud"} and self.place != "lan":
            raise ValueError(f"What is said, and the key, would go to {self.host} for all to read: take https://.")
        if self.first_s > self.whole_s:
            raise ValueError("first_s is longer than whole_s: nothing would be waited for so long.")
        return self

    @property
    def host(self) -> str:
        """The host, with its port where that isn't the usual one."""
        parts = self._parts
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        return host if parts.port in {None, _USUAL[parts.scheme]} else f"{host}:{parts.port}"

    @property
    def address(self) -> tuple[str, int]:
        """The host, and the port."""
        return self._parts.hostname or "", self._parts.port or _USUAL[self._parts.scheme]

    @property
    def where(self) -> Place:
        """The place; one that isn't known, nor told, is far away."""
        return self.place or place_of_host(self._parts.hostname or "") or "cloud"

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url)


def fit_together(sections: tuple[BackendSection, ...]) -> None:
    """Raise ValueError where names are taken twice, or prices can't be compared."""
    names = [section.name for section in sections]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"Two backends are called {name!r}: give each a name of its own.")
    currencies = sorted({section.currency for section in sections if section.price_in or section.price_out})
    if len(currencies) > 1:
        raise ValueError(f"The prices are in {' and '.join(currencies)}: give all of them in one currency.")
