import os
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from assistant import doctor
from assistant.config import Config, load
from assistant.doctor import Finding, Verdict
from assistant.llm import kernels
from assistant.models import Store
from assistant.server import listener
from tests.assistant.conftest import CONTENTS, model, write_wheel

GOOD, WARN, FAIL = Verdict.GOOD, Verdict.WARN, Verdict.FAIL


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def one(findings: Any) -> Finding:
    (finding,) = findings
    assert isinstance(finding, Finding)
    return finding


def test_an_old_python_fails() -> None:
    assert doctor.python((3, 11)).verdict is GOOD
    assert str(doctor.python((3, 10))).startswith("✗ Python: 3.10 on ")


def test_libraries_that_can_be_imported_are_one_line() -> None:
    assert str(one(doctor.libraries(("json", "wave")))) == "✓ Libraries: all 2 can be imported."


def test_a_library_that_is_missing_is_named() -> None:
    finding = one(doctor.libraries(("json", "no_such_library", "wave")))
    assert finding.verdict is FAIL
    assert finding.subject == "no_such_library"
    assert "ModuleNotFoundError" in finding.text
    assert "make setup" in finding.cure


def test_a_library_that_ends_the_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrong_processor.py").write_text("import os\nprint('hello')\nos.abort()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    finding = one(doctor.libraries(("json", "wrong_processor", "wave")))
    assert finding.subject == "wrong_processor"
    assert "it ends the program" in finding.text


def test_a_library_that_never_comes_back_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "endless.py").write_text("import threading\nthreading.Event().wait()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(doctor, "_IMPORT_TIMEOUT_S", 1)
    assert one(doctor.libraries(("endless",))).subject == "endless"


@pytest.mark.parametrize(
    ("contents", "verdict", "words"),
    [
        ({}, WARN, "not on this machine"),
        ({"model.bin": b"cut"}, WARN, "wrong size"),
        (dict(CONTENTS), GOOD, "compared at the next start"),
    ],
)
def test_models_are_looked_at(tmp_path: Path, contents: dict[str, bytes], verdict: Verdict, words: str) -> None:
    for name, data in contents.items():
        (tmp_path / "silero-vad").mkdir(exist_ok=True)
        (tmp_path / "silero-vad" / name).write_bytes(data)
    store = Store(tmp_path, {"silero-vad": model(_anywhere(tmp_path))})
    findings = {finding.subject: finding for finding in doctor.models(load(), store)}
    assert findings["Model silero-vad"].verdict is verdict
    assert words in str(findings["Model silero-vad"])
    assert findings["Model piper-joe"].verdict is FAIL  # this catalogue doesn't know it
    assert store.has("silero-vad") is (verdict is GOOD)
    if verdict is GOOD:
        assert str(next(doctor.models(load(), store))) == "✓ Model silero-vad: ready."


def _anywhere(folder: Path) -> Any:
    from assistant.catalogue import Wheels  # noqa: PLC0415 - one use

    index = folder / "index"
    index.mkdir()
    return Wheels(kind="wheels", wheels=(write_wheel(index, "any", dict(CONTENTS)),))


def test_a_full_disk_fails_only_when_models_are_missing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.disk(load(), store).verdict is GOOD
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**9, 0, 10**6))
    finding = doctor.disk(load(), store)
    assert finding.verdict is FAIL
    assert "1.0 MB free" in finding.text
    assert "PARLEY_MODELS" in finding.cure


def test_a_folder_that_is_not_ours_fails(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "may not write" in doctor.disk(load(), store).text


def test_memory_is_compared_roughly(store: Store) -> None:
    assert doctor.memory(load(), store, 4 * 10**9).verdict is GOOD
    assert doctor.memory(load(), store, None).verdict is GOOD
    finding = doctor.memory(load(), store, 5 * 10**8)
    assert finding.verdict is WARN
    assert "--profile tiny" in finding.cure


def test_available_memory_is_read_where_the_system_says(tmp_path: Path) -> None:
    table = tmp_path / "meminfo"
    assert doctor.available_memory(table) is None
    table.write_text("MemTotal:  8 kB\nMemAvailable:  5 kB\n")
    assert doctor.available_memory(table) == 5 * 1024
    table.write_text("MemTotal:  8 kB\n")
    assert doctor.available_memory(table) is None


def test_a_free_port_is_good_and_a_taken_one_fails() -> None:
    assert doctor.port(load(port=0)).verdict is GOOD
    with listener.bind(load(port=0).server) as taken:
        finding = doctor.port(load(port=taken.getsockname()[1]))
    assert finding.verdict is FAIL
    assert "Address already in use" in finding.text
    assert "--port" in finding.cure


def test_other_machines_need_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARLEY_TOKEN", raising=False)
    finding = doctor.port(load(host="0.0.0.0", port=0))
    assert finding.verdict is FAIL
    assert "PARLEY_TOKEN" in finding.text


def test_the_port_waits_for_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "assistant.server.auth", None)
    assert "before the libraries are there" in doctor.port(load()).text


def _sounddevice(monkeypatch: pytest.MonkeyPatch, *channels: tuple[int, int]) -> None:
    module: Any = ModuleType("sounddevice")
    devices = [{"max_input_channels": inputs, "max_output_channels": outputs} for inputs, outputs in channels]
    module.query_devices = lambda: devices
    monkeypatch.setitem(sys.modules, "sounddevice", module)


def test_sound_devices_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    _sounddevice(monkeypatch, (2, 0), (0, 2), (1, 1))
    assert str(doctor.sound()) == "✓ Sound: 2 inputs and 2 outputs for `parley talk`."


@pytest.mark.parametrize(
    ("channels", "lacking"),
    [((), "no microphone and loudspeaker"), (((0, 2),), "no microphone"), (((1, 0),), "no loudspeaker")],
)
def test_without_sound_devices_the_page_still_works(
    monkeypatch: pytest.MonkeyPatch, channels: tuple[tuple[int, int], ...], lacking: str
) -> None:
    _sounddevice(monkeypatch, *channels)
    finding = doctor.sound()
    assert finding.verdict is WARN
    assert finding.text.startswith(f"{lacking}, so")
    assert "page" in finding.text


def test_a_missing_portaudio_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    assert "libportaudio2" in doctor.sound().cure


def test_a_missing_sounddevice_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert "make setup" in doctor.sound().cure


def test_arithmetic_that_fits_every_processor_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "find", lambda: None)
    finding = doctor.arithmetic()
    assert finding.verdict is WARN
    assert "make kernels" in finding.cure
    monkeypatch.setattr(kernels, "find", lambda: tmp_path)
    assert doctor.arithmetic().verdict is GOOD


def test_everything_is_examined(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(doctor, "libraries", lambda: iter([Finding(GOOD, "Libraries", "all.")]))
    config: Config = load(port=0)
    findings = list(doctor.examine(config, store))
    assert [finding.subject for finding in findings if not finding.subject.startswith("Model ")] == [
        "Python",
        "Libraries",
        "Arithmetic",
        "Disk",
        "Memory",
        "Store",
        "Address",
        "Sound",
    ]
    assert len([finding for finding in findings if finding.subject.startswith("Model ")]) == len(config.models())
    assert findings[0].as_json().keys() == {"verdict", "subject", "text", "cure"}
