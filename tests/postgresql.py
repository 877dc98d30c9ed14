"""A real PostgreSQL of the tests' own: a cluster in a temporary folder, on a Unix socket only, gone afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

_USER: Final = "parley"
_TIMEOUT_S: Final = 60


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs (Debian keeps them out of the path), the newest version's."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


class Cluster:
    """A server that runs. `stop` and `start` are for tests of what happens without it."""

    def __init__(self, folder: Path, binaries: Path, as_user: str | None) -> None:
        self._folder = folder
        self._binaries = binaries
        self._as_user = as_user
        self._databases = 0

    def url(self, database: str, user: str = _USER) -> str:
        return f"postgresql://{user}@/{database}?host={quote(str(self._folder))}"

    def new(self) -> str:
        """Return the URL of a fresh database."""
        self._databases += 1
        name = f"parley_{self._databases}"
        self.run("createdb", "-h", str(self._folder), "-U", _USER, name)
        return self.url(name)

    def start(self) -> None:
        options = (
            f"-k {self._folder} -c listen_addresses='' -c fsync=off -c shared_buffers=16MB -c max_connections=30 "
            "-c autovacuum=off -c jit=off"
        )
        log = self._folder / "log"
        self.run("pg_ctl", "-D", str(self._folder / "data"), "-l", str(log), "-w", "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")

    def run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            user=self._as_user,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a pipe would be inherited by the server, and never end
            stderr=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{program}: {(done.stderr or b'').decode(errors='replace')}"


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a server. PostgreSQL refuses to run as root: there, it runs as nobody."""
    binaries = programs()
    assert binaries is not None
    as_user = "nobody" if os.geteuid() == 0 else None
    # Not pytest's folder: the path of a socket must be short, and open to the user.
    folder = Path(tempfile.mkdtemp(prefix="parley-pg-"))
    try:
        if as_user is not None:
            account = pwd.getpwnam(as_user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        server = Cluster(folder, binaries, as_user)
        server.run(
            "initdb",
            "-D",
            str(folder / "data"),
            "-U",
            _USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
