"""`parley backends`: which models may be asked, whether they are well, and how quick they have been."""

import asyncio
import json
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from rich.console import Console
from rich.table import Table

from assistant import config
from pipeline.errors import ParleyError

if TYPE_CHECKING:
    from assistant.router.backend_report import Listed, Tried

T = TypeVar("T")

_WIDTH: Final = 160
_configured = (
    click.option("--config", "file", type=click.Path(path_type=Path), help="A TOML file laid over the defaults."),
    click.option("--profile", type=click.Choice(config.profiles()), help="A ready-made configuration."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs."),
)


@click.group(invoke_without_command=True, short_help="List the models that may be asked, or try one.")
@_configured[0]
@_configured[1]
@_configured[2]
@click.pass_context
def backends(context: click.Context, file: Path | None, profile: str | None, as_json: bool) -> None:
    """List the models that may be asked: where they are, what they can do and cost, how they are.

    Each one elsewhere is asked which models it has, which costs nothing and tells it nothing. Exits 1 when one of them
    can't be used.
    """
    context.obj = (file, profile)
    if context.invoked_subcommand is None:
        from assistant.router.backend_report import survey  # noqa: PLC0415 - the other commands start without it

        listed = _run(survey(config.load(profile=profile, file=file)))
        if as_json:
            click.echo(json.dumps([each.as_json() for each in listed], ensure_ascii=False, indent=2))
        else:
            _show(listed)
        if any(each.trouble for each in listed):
            sys.exit(1)


@backends.command("test")
@click.argument("name")
@click.option("--say", default="Say hello in one short sentence.", show_default=True, help="What it is asked.")
@_configured[0]
@_configured[1]
@_configured[2]
@click.pass_context
def test(  # noqa: PLR0913, PLR0917 - one for each option
    context: click.Context, name: str, say: str, file: Path | None, profile: str | None, as_json: bool
) -> None:
    """Ask the backend NAME one real question, and say how long that took and what went wrong.

    It may cost a fraction of a cent. Exits 1 when no answer came.
    """
    from assistant.router.backend_report import attempt  # noqa: PLC0415 - see above

    above: tuple[Path | None, str | None] = context.obj
    tried = _run(attempt(config.load(profile=profile or above[1], file=file or above[0]), name, say))
    if as_json:
        click.echo(json.dumps(tried.as_json(), ensure_ascii=False, indent=2))
    else:
        _tell(tried)
    if tried.error:
        sys.exit(1)


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except ExceptionGroup as group:
        ours = next((error for error in group.exceptions if isinstance(error, ParleyError)), None)
        raise (ours or group) from None


def _show(listed: "Sequence[Listed]") -> None:
    told = ("name", "where", "model", "can", "context", "price in/out")
    table = Table(*told, "first token p50/p95", "tokens/s", "errors", "health", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for each in listed:
        table.add_row(*each.cells())
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(table)
    for each in listed:
        if each.trouble:
            click.echo(f"\n✗ {each.trouble}")
    if len(listed) == 1:
        click.echo("\nNo other model is listed: configs/default.toml shows how, at [[backends]].")


def _tell(tried: "Tried") -> None:
    click.echo(f"{tried.name} ({tried.model}, {tried.place}{f', {tried.host}' if tried.host else ''})")
    if tried.said:
        click.echo(f"  said: {tried.said}")
    for line in tried.lines():
        click.echo(f"  {line}")
    if tried.error:
        click.echo(f"✗ {tried.error}")
    if tried.models:
        click.echo(f"  it has: {', '.join(tried.models)}")
