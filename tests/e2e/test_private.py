"""What is private stays: a whole conversation on a machine without a network, and not one way out tried."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.config import load
from assistant.models import Store

ROOT = Path(__file__).resolve().parents[2]
CLOUD = """
[router]
preset = "private"

[[backends]]
name = "big"
url = "https://api.example.com/v1"
model = "large"
place = "cloud"
quality = 1.0
"""
"""A better model is there, and is not to be asked."""


def namespace() -> list[str]:
    """Return the command that runs another in a network namespace of its own; skips where that may not be had."""
    for options in (["--net"], ["--user", "--map-root-user", "--net"]):
        command = ["unshare", *options, "--"]
        try:
            done = subprocess.run([*command, "true"], capture_output=True, text=True, check=False, timeout=20)
        except OSError as error:
            pytest.skip(f"unshare (util-linux) isn't there: {error}")
        if done.returncode == 0:
            return command
    pytest.skip(f"this user may not make a network namespace: {done.stderr.strip()}")


@pytest.mark.e2e
@pytest.mark.models
@pytest.mark.timeout(300)
def test_a_conversation_without_a_network(tmp_path: Path) -> None:
    """Typed and spoken, with the real models of the smallest profile: it is answered, and nothing was tried."""
    for name in load(profile="tiny").models():
        Store().pull(name)
    settings = tmp_path / "my.toml"
    settings.write_text(f'{CLOUD}\n[store]\nurl = "sqlite:///{tmp_path}/parley.db"\n')
    arguments = ["-m", "tests.e2e.without_network", str(tmp_path), "--profile", "tiny", "--config", str(settings)]
    done = subprocess.run(
        [*namespace(), sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["interfaces"] == ["lo"]
    assert report["way_out"] == "Network is unreachable"
    assert report["typed"]
    assert [heard.lower().strip("?. ") for heard in report["heard"]] == ["what time is it"]
    assert report["spoken"]
    assert report["sound"] > 20_000
    assert (tmp_path / "ways-out").read_text() == ""


def ways_out(folder: Path, preset: str) -> tuple[set[str], list[str]]:
    """Ask a router with that preset; return who answered, and the ways out that were tried."""
    log = folder / "ways-out"
    done = subprocess.run(
        [*namespace(), sys.executable, "-m", "tests.e2e.floors", str(log), preset],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split()), log.read_text().splitlines()


@pytest.mark.e2e
def test_with_the_floor_on_this_machine_no_way_out_is_tried(tmp_path: Path) -> None:
    """Whatever is asked, and though the backend elsewhere is the better one, and is asked for."""
    assert ways_out(tmp_path, "private") == ({"device"}, [])


@pytest.mark.e2e
def test_a_way_out_that_is_tried_is_seen(tmp_path: Path) -> None:
    """The same questions where they may leave: what the test above looks for would be found."""
    answered, tried = ways_out(tmp_path, "best")
    assert "device" in answered
    assert tried
    assert set(tried) == {"socket.connect ('192.0.2.1', 80)"}
