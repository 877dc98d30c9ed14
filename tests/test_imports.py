"""The rooms, and who may import whom."""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("assistant", "audio", "vision", "pipeline", "clients")
MAY_IMPORT = {
    "assistant": ("assistant", "audio", "vision", "pipeline"),
    "audio": ("audio",),
    "vision": ("vision",),
    "pipeline": ("pipeline", "audio.types", "vision.types"),
    "clients": ("clients", "audio", "vision"),
}
HEAVY = {
    "ai_edge_litert",
    "aiosqlite",
    "asyncpg",
    "cryptography",
    "cv2",
    "ctranslate2",
    "faster_whisper",
    "hassil",
    "home_assistant_intents",
    "huggingface_hub",
    "jinja2",
    "mcp",
    "onnxruntime",
    "openai",
    "phonenumbers",
    "pint",
    "piper",
    "psutil",
    "rapidocr",
    "sounddevice",
    "soxr",
    "sqlalchemy",
    "starlette",
    "tokenizers",
    "uvicorn",
    "tzlocal",
    "xllamacpp",
    "yaml",
    "zxingcpp",
}


def imports(path: Path) -> list[tuple[str, str]]:
    """Return the file's imports of our rooms, as (what, where)."""
    found = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import hides the room"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found += [(name, f"{path.relative_to(ROOT)}:{node.lineno}") for name in names if name.split(".")[0] in ROOMS]
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    wrong = [
        f"{where} imports {name}"
        for path in files
        for name, where in imports(path)
        if not any(f"{name}.".startswith(f"{allowed}.") for allowed in MAY_IMPORT[room])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "module", ["assistant", "assistant.cli", "assistant.doctor", "pipeline.session", "audio", "clients.showing"]
)
def test_heavy_libraries_wait_until_they_are_needed(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert HEAVY & set(json.loads(done.stdout)) == set()


def test_every_package_is_installed() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    there = {
        ".".join(path.parent.relative_to(ROOT).parts) for room in ROOMS for path in (ROOT / room).rglob("__init__.py")
    }
    assert listed == there
