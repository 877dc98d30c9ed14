"""The model store: models on this machine, fetched once, checked by hash, moved into place whole."""

import errno
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from assistant import catalogue, sources
from assistant.catalogue import Catalogue, Converted, MissingModel, Model, ModelError, ModelFile, Source, SourceError
from assistant.sources import Delivery, Progress

__all__ = ["MissingModel", "ModelError", "Progress", "SourceError", "State", "Store"]

_MARKER = ".verified"
_BROKEN = "damaged\n"
_WORKPLACE = ".fetching"
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

logger = logging.getLogger(__name__)


class State(StrEnum):
    """What a look at names and sizes tells about a model."""

    READY = "ready"
    UNCHECKED = "unchecked"
    """Every file has its size, but nobody compared the hashes yet."""
    DAMAGED = "damaged"
    ABSENT = "absent"


class Store:
    """The models under `root`, one folder each.

    The root is the argument, else the environment's PARLEY_MODELS, else the user's cache folder.
    """

    def __init__(self, root: Path | None = None, models: Catalogue | None = None) -> None:
        chosen = root or os.environ.get("PARLEY_MODELS") or platformdirs.user_cache_path("parley") / "models"
        self.root = Path(chosen).expanduser().absolute()
        self.models = catalogue.read() if models is None else models

    def state(self, name: str) -> State:
        """Look at the model's files without reading them."""
        model, folder = self._model(name), self.root / name
        if not folder.is_dir():
            return State.ABSENT
        if any(_length(folder / file.name) != file.bytes for file in model.files):
            return State.DAMAGED
        match _read(folder / _MARKER):
            case mark if mark == _seal(model):
                return State.READY
            case mark if mark == _BROKEN:
                return State.DAMAGED
            case _:
                return State.UNCHECKED

    def has(self, name: str) -> bool:
        """Tell whether the model is here. Files that nobody checked yet are checked now, once."""
        match self.state(name):
            case State.READY:
                return True
            case State.UNCHECKED:
                return self._check(name) is None
            case State.DAMAGED | State.ABSENT:
                return False

    def path(self, name: str) -> Path:
        """Return the model's folder. Raises MissingModel when it isn't here or not as it should be."""
        if self.has(name):
            return self.root / name
        model = self._model(name)
        if self.state(name) is State.ABSENT:
            raise MissingModel(
                f"The model {name} is not on this machine: "
                f"`parley models pull {name}` fetches it ({catalogue.size(model.bytes)})."
            )
        raise MissingModel(f"The model {name} is damaged: `parley models pull {name}` fetches it again.")

    def verify(self, name: str) -> None:
        """Compare every byte. Raises MissingModel, naming the file, when something is amiss."""
        if self.state(name) is State.ABSENT:
            self.path(name)
        amiss = self._check(name)
        if amiss is not None:
            raise MissingModel(f"The model {name} is damaged: {amiss}. `parley models pull {name}` fetches it again.")

    def pull(self, name: str, progress: Progress | None = None) -> Path:
        """Return the model's folder, fetching the model first when it isn't here.

        Complete models need no network. Another process that pulls the same model is waited for. Raises ModelError
        when no source delivers or the disk can't take it; then nothing is left behind.
        """
        model, folder = self._model(name), self.root / name
        if self.has(name):
            return folder
        try:
            with self._alone(name):
                if not self.has(name):
                    self._fetch(name, model, progress or _quiet)
        except OSError as error:
            raise self._disk_error(name, model, error) from error
        return folder

    def _model(self, name: str) -> Model:
        return catalogue.find(self.models, name)

    def _check(self, name: str) -> str | None:
        """Hash the files, mark the folder with the outcome, and return what is amiss, if anything."""
        model, folder = self._model(name), self.root / name
        amiss = next(filter(None, (_compare(folder / file.name, file) for file in model.files)), None)
        _mark(folder / _MARKER, _seal(model) if amiss is None else _BROKEN)
        return amiss

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        workplace = self.root / _WORKPLACE
        workplace.mkdir(parents=True, exist_ok=True)
        lock = FileLock(workplace / f"{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.info("Another process is fetching %s: waiting for it.", name)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _fetch(self, name: str, model: Model, progress: Progress) -> None:
        workplace = self.root / _WORKPLACE / name
        # We hold the lock, so what lies here is of a run that died. Its last download may still be writing and spoil
        # the removal: the rest goes next time, and this run works in a folder of its own.
        shutil.rmtree(workplace, ignore_errors=True)
        workplace.mkdir(exist_ok=True)
        try:
            folder = self._deliver(name, model, workplace, progress)
            (folder / _MARKER).write_text(_seal(model), encoding="utf-8")
            target = self.root / name
            if target.exists():
                os.replace(target, workplace / "damaged")
            os.replace(folder, target)
        finally:
            shutil.rmtree(workplace, ignore_errors=True)

    def _deliver(self, name: str, model: Model, workplace: Path, progress: Progress) -> Path:
        """Return a folder with the checked files, from the first source that has them."""
        failures: list[tuple[str, SourceError]] = []
        for source in model.sources:
            self._check_space(name, model.bytes + self._scratch_bytes(source))
            attempt = Path(tempfile.mkdtemp(dir=workplace))
            folder, scratch = attempt / "model", attempt / "scratch"
            folder.mkdir()
            scratch.mkdir()
            try:
                self._fill(Delivery(folder, model.files), source, scratch, progress)
            except SourceError as error:
                logger.info("%s cannot deliver %s: %s.", source.label, name, error)
                failures.append((source.label, error))
                shutil.rmtree(attempt)
            else:
                return folder
        raise ModelError(self._explain(name, failures))

    def _fill(self, delivery: Delivery, source: Source, scratch: Path, progress: Progress) -> None:
        if isinstance(source, Converted):
            origin = self._model(source.model)
            folder = self.root / source.model
            if not self.has(source.model):
                folder = self._deliver(source.model, origin, scratch, progress)
            conversion = scratch / "conversion"
            conversion.mkdir()
            sources.convert(folder / origin.files[0].name, delivery, conversion, progress)
        else:
            sources.fetch(source, delivery, scratch, progress)

    def _scratch_bytes(self, source: Source) -> int:
        """Return the disk space that the source needs beside the files that it delivers."""
        if isinstance(source, Converted):
            origin = self._model(source.model)
            if self.has(source.model):
                return 0
            return origin.bytes + max(map(self._scratch_bytes, origin.sources))
        return sources.scratch_bytes(source)

    def _explain(self, name: str, failures: list[tuple[str, SourceError]]) -> str:
        by_hand = f"or copy the folder {name} of a machine that has it to {self.root}"
        if all(error.offline for _, error in failures):
            tried = " and ".join(label for label, _ in failures)
            return (
                f"Offline: the model {name} is not on this machine, and {tried} can't be reached. "
                f"Connect to the internet and try again, {by_hand}."
            )
        said = " ".join(f"{label[0].upper()}{label[1:]}: {error}." for label, error in failures)
        return f"The model {name} can't be fetched. {said} Try again later, {by_hand}."

    def _check_space(self, name: str, needed: int) -> None:
        free = shutil.disk_usage(self.root).free
        if free < needed:
            raise ModelError(
                f"The disk is too full for the model {name}: fetching it takes {catalogue.size(needed)}, and "
                f"{self.root} has {catalogue.size(free)} left. "
                "Free some space, or set PARLEY_MODELS to a folder on another disk."
            )

    def _disk_error(self, name: str, model: Model, error: OSError) -> ModelError:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return ModelError(
                f"The disk is full: the model {name} takes {catalogue.size(model.bytes)} in {self.root}. "
                "Free some space, or set PARLEY_MODELS to a folder on another disk."
            )
        if error.errno in _FORBIDDEN:
            return ModelError(
                f"Parley may not write to {self.root}: give yourself the right to, "
                "or set PARLEY_MODELS to a folder that is yours."
            )
        return ModelError(f"The model {name} can't be stored in {self.root}: {error.strerror or error}.")


def _quiet(arrived: int, total: int) -> None:
    """Report nothing."""


def _seal(model: Model) -> str:
    """Return the marker's text; `sha256sum -c .verified` reads it too."""
    return "".join(f"{file.sha256}  {file.name}\n" for file in model.files)


def _mark(marker: Path, text: str) -> None:
    try:
        marker.write_text(text, encoding="utf-8")
    except OSError as error:
        if error.errno not in _FORBIDDEN:
            raise ModelError(f"Cannot write {marker}: {error.strerror}.") from error
        logger.info("%s is read-only: its models are hashed at every start.", marker.parent.parent)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _length(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _compare(path: Path, file: ModelFile) -> str | None:
    length = _length(path)
    if length is None:
        return f"{file.name} is missing"
    if length != file.bytes:
        return f"{file.name} is {length} bytes long instead of {file.bytes}"
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    return None if found == file.sha256 else f"{file.name} has the sha256 {found} instead of {file.sha256}"
