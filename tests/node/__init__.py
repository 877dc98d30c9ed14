"""What the tests take from npm, installed once into the user's cache, whatever checkout asks for it.

`packages()` gives tests the folder and never asks the network; `python -m tests.node` installs what is missing. The
versions are those of the lock file beside this one.
"""

import json
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).resolve().parent
_LINK: Final = HERE.parent / "node_modules"
_MANIFEST: Final = ("package.json", "package-lock.json", ".npmrc")
_COMPLETE: Final = ".complete"
_CURE: Final = "run `make peers`, with Node.js 20 or later and npm there (apt install nodejs npm)"


def installed() -> Path | None:
    """Return the folder `tests/node_modules`, where scripts below tests/ find packages; None while they are missing."""
    folder = _folder()
    if not (folder / _COMPLETE).exists() or shutil.which("node") is None:
        return None
    target = folder / "node_modules"
    if not _LINK.is_symlink() or _LINK.readlink() != target:
        _LINK.unlink(missing_ok=True)
        _LINK.symlink_to(target)
    return _LINK


def packages() -> Path:
    """Return what `installed` does, or skip the test that calls this."""
    folder = installed()
    if folder is None:
        pytest.skip(f"npm's packages are missing: {_CURE}")
    return folder


def install() -> None:
    """Fetch the packages, unless they are there. Raises CalledProcessError, or FileNotFoundError without npm."""
    folder = _folder()
    if not (folder / _COMPLETE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in _MANIFEST:
            shutil.copy(HERE / name, folder)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(["npm", "ci", *options], cwd=folder, check=True)
        (folder / _COMPLETE).touch()
    installed()


def version(package: str) -> str:
    """Return the version that is asked for."""
    return str(json.loads((HERE / "package.json").read_text())["dependencies"][package])


def _folder() -> Path:
    """Return where this set of versions is."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = sha256(b"\0".join((HERE / name).read_bytes() for name in _MANIFEST)).hexdigest()
    return cache / "parley" / f"node-{digest[:12]}"
