"""npm's packages, with a stand-in for npm: what it does is to make a folder."""

import os
import subprocess
from pathlib import Path

import pytest

from tests import node

NPM = """#!/bin/sh
echo "$PWD $*" >> "$NPM_LOG"
test -f package-lock.json && mkdir node_modules
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, a checkout without packages, and what npm was asked for."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in (("npm", NPM), ("node", "#!/bin/sh\n")):
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NPM_LOG", str(tmp_path / "npm.log"))
    monkeypatch.setattr(node, "_LINK", tmp_path / "checkout" / "node_modules")
    (tmp_path / "checkout").mkdir()
    return tmp_path / "npm.log"


def test_it_is_installed_once_and_then_needs_no_npm(log: Path) -> None:
    assert node.installed() is None
    with pytest.raises(pytest.skip.Exception, match="make peers"):
        node.packages()
    node.install()
    node.install()
    (asked,) = log.read_text().splitlines()
    assert " ci --ignore-scripts" in asked
    assert node.packages().resolve().is_dir()


def test_another_checkout_finds_it_in_the_cache(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node.install()
    fresh = tmp_path / "clone" / "node_modules"
    fresh.parent.mkdir()
    monkeypatch.setattr(node, "_LINK", fresh)
    assert node.packages() == fresh
    assert fresh.resolve().is_dir()
    assert len(log.read_text().splitlines()) == 1


def test_a_link_to_other_versions_is_replaced(log: Path, tmp_path: Path) -> None:
    (tmp_path / "checkout" / "node_modules").symlink_to(tmp_path / "gone")
    node.install()
    assert node.packages().resolve().is_dir()
    assert log.exists()


def test_every_script_gets_the_versions_of_one_lock_file() -> None:
    assert node.version("@openai/agents")
    tracked = subprocess.run(["git", "ls-files", ".."], cwd=node.HERE, stdout=subprocess.PIPE, text=True, check=True)
    found = {line for line in tracked.stdout.splitlines() if Path(line).name in {"package.json", "package-lock.json"}}
    assert found == {"package.json", "package-lock.json"}
