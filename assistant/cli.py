"""The command line: `parley serve`, `replay`, `ledger`, `memory`, `models`, `backends`, `doctor`, and what clients add.

Exit codes: 0 done, 1 something checked is not as it should be, 2 it can't be done (one sentence says why), 130 stopped
by Ctrl-C.
"""

import asyncio
import errno
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final, ParamSpec, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

from assistant import commands, config
from assistant.catalogue import ModelError, find, size
from assistant.cpu import loading
from assistant.doctor import Verdict, examine
from assistant.memory.command import memory
from assistant.models import State, Store
from assistant.privacy.command import ledger
from assistant.record.command import replay
from assistant.router.command import backends
from pipeline.errors import ParleyError

P = ParamSpec("P")
T = TypeVar("T")

_INTERRUPTED: Final = 130
_TERMINATED: Final = 143


class _Failure(click.ClickException):
    """A sentence for people instead of a traceback."""

    exit_code = 2


class _Parley(click.Group):
    """The root: it knows the commands of other packages, and turns our errors into sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *commands.offered()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or commands.offered().get(cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ParleyError as error:
            raise _Failure(str(error)) from error
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            ctx.exit(_INTERRUPTED)


def _configured(command: Callable[P, T]) -> Callable[P, T]:
    """Add the options that choose a configuration."""
    for option in (
        click.option(
            "--config",
            "file",
            type=click.Path(path_type=Path),
            help="A TOML file laid over the defaults and the profile.",
        ),
        click.option("--profile", type=click.Choice(config.profiles()), help="A ready-made configuration."),
    ):
        command = option(command)
    return command


@click.group(cls=_Parley, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="parley", prog_name="parley")
def main() -> None:
    """Parley: a voice assistant that runs on your own machine."""


@main.command()
@click.option("--host", help="The address to listen on; any but this machine's own needs PARLEY_TOKEN.")
@click.option("--port", type=int, help="The port to listen on; 0 picks a free one.")
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Store every conversation in this folder: all that is said, as sound and as words. For `parley replay`.",
)
@click.option("--tls-cert", metavar="FILE", help="Serve https:// and wss:// with this certificate (PEM).")
@click.option("--tls-key", metavar="FILE", help="The certificate's key (PEM, without a password).")
@click.option(
    "--tls-self-signed",
    is_flag=True,
    default=None,
    help="Serve https:// and wss:// with a certificate that Parley makes for this machine.",
)
@_configured
def serve(record: Path | None, profile: str | None, file: Path | None, **server: str | int | bool | None) -> None:
    """Serve conversations until Ctrl-C; fetches missing models first."""
    chosen = config.load(profile=profile, file=file, **server)
    from assistant.record.recorder import recording  # noqa: PLC0415 - the other commands start without the server's
    from assistant.server import app  # noqa: PLC0415
    from assistant.server.auth import token_of_environment  # noqa: PLC0415
    from assistant.server.listener import addresses_for_others, bind  # noqa: PLC0415
    from assistant.server.tls import open_tls  # noqa: PLC0415

    with _port_errors(chosen.server), recording(record, chosen.models()) as recorder:
        # What the server would find out only after the models have come is found out now.
        token_of_environment(chosen.server.host)
        bind(chosen.server).close()
        tls = open_tls(chosen.server)

        def warn() -> None:
            if recorder is not None:
                click.secho(recorder.warning, fg="red", bold=True, err=True)

        warn()
        store = Store()
        _pull(store, chosen.models())
        began = time.monotonic()

        def ready(url: str) -> None:
            loaded()
            warn()
            click.echo(f"Models loaded in {time.monotonic() - began:.1f} s. Ctrl-C stops the server.")
            for line in () if tls is None else tls.lines:
                click.echo(line)
            for address in addresses_for_others(chosen.server, url):
                websocket = address.replace("http", "ws", 1)
                click.echo(f"Other machines, with the token: {address} (programs: {websocket}/v1/realtime)")
            click.echo(f"Parley is ready: {url}")

        click.echo("Loading the models …")
        with loading() as loaded:
            asyncio.run(app.serve(chosen, store, ready, recorder, tls))


main.add_command(replay)
main.add_command(ledger)
main.add_command(backends)
main.add_command(memory)


@main.group()
def models() -> None:
    """Fetch, list and check the models."""


@models.command("list")
def list_models() -> None:
    """List every model that Parley knows."""
    store = Store()
    table = Table("model", "here", "size", "role", "languages", "licence", "what it is", box=None, pad_edge=False)
    table.columns[0].no_wrap = table.columns[1].no_wrap = table.columns[2].no_wrap = True
    for name, model in store.models.items():
        languages = ", ".join(model.languages)
        table.add_row(
            name, store.state(name), size(model.bytes), model.role, languages, model.licence, model.description
        )
    console = Console()
    if not console.is_terminal:
        console.width = 160
    console.print(table)
    click.echo(f"\nThey live in {store.root}")


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_configured
def pull(names: Sequence[str], profile: str | None, file: Path | None) -> None:
    """Fetch models; without a name, those that the configuration needs."""
    store = Store()
    wanted = tuple(names) or config.load(profile=profile, file=file).models()
    _pull(store, wanted)
    click.echo(f"{', '.join(wanted)}: ready in {store.root}")


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def verify(names: Sequence[str]) -> None:
    """Compare every byte of models; without a name, of all that are here."""
    store = Store()
    chosen = names or [name for name in store.models if store.state(name) is not State.ABSENT]
    amiss = False
    for name in chosen:
        try:
            store.verify(name)
        except ModelError as error:
            amiss = True
            click.echo(f"✗ {error}")
        else:
            click.echo(f"✓ {name}")
    if not chosen:
        click.echo("No model is on this machine yet: `parley models pull` fetches those that the configuration needs.")
    if amiss:
        sys.exit(1)


@models.command()
@click.argument("name")
def path(name: str) -> None:
    """Print the folder of a model."""
    click.echo(Store().path(name))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@_configured
def doctor(as_json: bool, profile: str | None, file: Path | None) -> None:
    """Say what is missing on this machine, and how to get it."""
    findings = []
    for finding in examine(config.load(profile=profile, file=file), Store()):
        findings.append(finding)
        if not as_json:
            click.echo(finding)
    ill = any(finding.verdict is Verdict.FAIL for finding in findings)
    if as_json:
        listed = [finding.as_json() for finding in findings]
        click.echo(json.dumps({"can_serve": not ill, "findings": listed}, ensure_ascii=False, indent=2))
    else:
        click.echo("`parley serve` can't work yet." if ill else "`parley serve` can work.")
    if ill:
        sys.exit(1)


@contextmanager
def _port_errors(server: config.Server) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cure = "pass another with --port"
        match error.errno:
            case errno.EADDRINUSE:
                problem = f"Port {server.port} is taken by another program: stop it or {cure}."
            case errno.EACCES:
                problem = f"Port {server.port} is for administrators only: {cure}, such as 8765."
            case errno.EADDRNOTAVAIL:
                problem = f"This machine has no address {server.host}: pass one that it has with --host."
            case _:
                raise
        raise ParleyError(problem) from error


def _pull(store: Store, names: Sequence[str]) -> None:
    """Fetch what is missing, with a progress bar on a terminal and a line a model elsewhere."""
    missing = [name for name in names if not store.has(name)]
    if not missing:
        return
    total = size(sum(find(store.models, name).bytes for name in missing))
    click.echo(f"Fetching {len(missing)} of {len(names)} models ({total}) into {store.root}", err=True)
    console = Console(stderr=True)
    with _ended_by_term():
        if console.is_terminal:
            _pull_with_bars(store, missing, console)
            return
        for name in missing:
            store.pull(name)
            click.echo(f"  {name} ({size(store.models[name].bytes)})", err=True)


def _pull_with_bars(store: Store, names: Sequence[str], console: Console) -> None:

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console) as bars:
        for name in names:
            store.pull(name, partial(_advance, bars, bars.add_task(name, total=None)))


def _advance(bars: Progress, bar: TaskID, arrived: int, total: int) -> None:
    bars.update(bar, completed=arrived, total=total)


@contextmanager
def _ended_by_term() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that downloads are stopped and their remains removed."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(_TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
