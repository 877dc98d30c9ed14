"""onnxruntime (since 1.29) reports to its maker over the network, unless it is told not to before it is loaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def left_behind(folder: Path, code: str) -> list[str]:
    """Run code in a fresh process; return the files that it leaves in its home and its folder for temporary files."""
    environment = {**os.environ, "HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    environment.pop("CI", None)  # there, it reports nothing by itself
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, timeout=60)
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "module",
    [
        "audio.vad.silero",
        "audio.tts.piper",
        "audio.stt.faster_whisper",
        "vision.text",
        "assistant.server.app",
        "clients.ask",
    ],
)
def test_no_module_of_ours_loads_it_untold(tmp_path: Path, module: str) -> None:
    """What it would leave is the identity under which it reports."""
    code = f"import {module}, onnxruntime, os; assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'"
    assert left_behind(tmp_path, code) == []
