"""The columns of the conformance matrix: real clients, unmodified, and what they don't have."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests import node

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parley" / "conformance"


class MissingClientError(Exception):
    """A client isn't installed; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Client:
    """A column. `absent` has the conversations that the client can't hold, and why."""

    name: str
    package: str
    title: str
    driver: str
    absent: Mapping[str, str] = field(default_factory=dict)

    def command(self) -> list[str]:
        """Return what runs the driver. Raises MissingClientError."""
        program = self._program()
        if program is None or not program.exists():
            raise MissingClientError(
                f"{self.title} is not installed: run `make peers` or `make conformance`; Node's needs Node.js 20."
            )
        return [str(program), str(HERE / self.driver)]

    def version(self) -> str:
        """Return the version that is pinned, or installed with Parley."""
        if self.driver.endswith(".mjs"):
            return node.version(self.package)
        if not requirements(self.name).exists():
            return importlib.metadata.version(self.package)
        (pin,) = re.findall(rf"^{self.package}==(.+)$", requirements(self.name).read_text(), re.MULTILINE)
        return str(pin)

    def _program(self) -> Path | None:
        if self.driver.endswith(".mjs"):
            program = shutil.which("node")
            return None if program is None or node.installed() is None else Path(program)
        return environment(self.name) / "bin" / "python" if requirements(self.name).exists() else Path(sys.executable)


def requirements(name: str) -> Path:
    """Return the file that pins a client's environment; the official SDK comes with Parley."""
    return HERE / "requirements" / f"{name}.txt"


def environment(name: str) -> Path:
    """Return where a client's virtual environment is: one for each set of versions."""
    return CACHE / f"{name}-{sha256(requirements(name).read_bytes()).hexdigest()[:12]}"


def install(name: str) -> None:
    """Make a client's environment, unless it is there."""
    target = environment(name)
    if (target / ".complete").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(target)], check=True)
    pip = [str(target / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(requirements(name))], check=True)
    (target / ".complete").touch()
    print(json.dumps({"installed": name, "at": str(target)}))


OPENAI = Client("openai", "openai", "`openai`", "drivers/openai_sdk.py")
AGENTS = Client("agents", "openai-agents", "`openai-agents`", "drivers/openai_agents.py")
NODE = Client("node", "@openai/agents", "`@openai/agents`", "node/agents.mjs")
PIPECAT = Client("pipecat", "pipecat-ai", "Pipecat", "drivers/pipecat_service.py")
LIVEKIT = Client(
    "livekit",
    "livekit-plugins-openai",
    "LiveKit",
    "drivers/livekit_plugin.py",
    {"barge-in: the history keeps what was heard": "its framework cuts its transcript by its own player's position"},
)
QUICK = (OPENAI, AGENTS, NODE)
HEAVY = (PIPECAT, LIVEKIT)
CLIENTS = (*QUICK, *HEAVY)

if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        install(wanted)
