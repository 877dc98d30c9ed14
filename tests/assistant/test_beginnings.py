import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.llm.beginnings import Beginning
from assistant.llm.embedded import EmbeddedLlm
from pipeline.engines import ChatMessage, ChatRequest, Finish, TextDelta

SYSTEM = ChatMessage("system", "You are a lighthouse keeper. Answer in one short sentence, and never mention the sea.")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    return file


@pytest.fixture
def read(tmp_path: Path) -> Path:
    file = tmp_path / "read"
    file.write_bytes(bytes(range(256)) * 40)
    return file


def fetched(beginning: Beginning, target: Path) -> bytes | None:
    return target.read_bytes() if beginning.fetch(target) else None


def test_what_was_kept_comes_back(tmp_path: Path, model: Path, read: Path) -> None:
    folder = tmp_path / "cache" / "beginnings"
    assert fetched(Beginning(folder, model, [SYSTEM]), tmp_path / "back") is None
    Beginning(folder, model, [SYSTEM]).keep(read)
    assert fetched(Beginning(folder, model, [SYSTEM]), tmp_path / "back") == read.read_bytes()
    assert [file.stat().st_mode & 0o777 for file in folder.iterdir()] == [0o600]


def test_it_is_of_these_messages_and_this_file(tmp_path: Path, model: Path, read: Path) -> None:
    Beginning(tmp_path / "kept", model, [SYSTEM]).keep(read)
    other = ChatMessage("system", "Be brief.")
    assert fetched(Beginning(tmp_path / "kept", model, [other]), tmp_path / "back") is None
    os.utime(model, (1, 1))
    assert fetched(Beginning(tmp_path / "kept", model, [SYSTEM]), tmp_path / "back") is None


def test_other_instructions_take_its_place(tmp_path: Path, model: Path, read: Path) -> None:
    for instructions in ("Be brief.", "Be kind.", "Be both."):
        Beginning(tmp_path / "kept", model, [ChatMessage("system", instructions)]).keep(read)
    assert len(list((tmp_path / "kept").iterdir())) == 1


@pytest.mark.parametrize("damage", [lambda kept: kept[:-1], lambda kept: kept[:-1] + b"?", lambda _kept: b""])
def test_a_damaged_file_is_none(tmp_path: Path, model: Path, read: Path, damage: Callable[[bytes], bytes]) -> None:
    beginning = Beginning(tmp_path / "kept", model, [SYSTEM])
    beginning.keep(read)
    (file,) = (tmp_path / "kept").iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert fetched(beginning, tmp_path / "back") is None


def test_a_disk_that_cannot_take_it_harms_nothing(tmp_path: Path, model: Path, read: Path) -> None:
    (tmp_path / "kept").write_text("a file where the folder should be")
    beginning = Beginning(tmp_path / "kept", model, [SYSTEM])
    beginning.keep(read)
    assert fetched(beginning, tmp_path / "back") is None


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, model: Path, read: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_source: str, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    Beginning(tmp_path / "kept", model, [SYSTEM]).keep(read)
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.models
def test_the_next_start_goes_on_from_it(model_path: Callable[[str], Path], tmp_path: Path) -> None:
    def start(*beginning: ChatMessage) -> int:
        llm = EmbeddedLlm(
            model_path("smollm2-135m"),
            threads=1,
            context_tokens=1024,
            parallel=1,
            beginning=beginning,
            keep=tmp_path,
        )
        llm.close()
        (file,) = tmp_path.iterdir()
        return file.stat().st_mtime_ns

    first = start(SYSTEM)
    assert start(SYSTEM) == first
    other = start(ChatMessage("system", "Be brief."))
    assert other > first
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    assert start(ChatMessage("system", "Be brief.")) > other


@pytest.mark.models
def test_it_answers_as_if_it_had_read_it(model_path: Callable[[str], Path], tmp_path: Path) -> None:
    async def answer() -> tuple[str, int]:
        llm = EmbeddedLlm(
            model_path("smollm2-135m"), threads=1, context_tokens=1024, parallel=1, beginning=[SYSTEM], keep=tmp_path
        )
        asked = ChatRequest((SYSTEM, ChatMessage("user", "Who are you?")), max_tokens=12, temperature=0.0)
        *deltas, finish = [piece async for piece in llm.stream(asked)]
        llm.close()
        assert isinstance(finish, Finish)
        text = "".join(piece.text for piece in deltas if isinstance(piece, TextDelta))
        return text, finish.input_tokens - finish.cached_tokens

    read, restored = asyncio.run(answer()), asyncio.run(answer())
    assert restored == read
    assert restored[1] < 20
