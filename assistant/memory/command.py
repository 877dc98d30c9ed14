"""`parley memory`: what is kept of a person, to be read, searched, taken away and erased."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from assistant import config
from assistant.config import Config
from pipeline.errors import ParleyError

if TYPE_CHECKING:
    from assistant.store.database import Database

T = TypeVar("T")

_LISTED: Final = 10
"""Conversations whose first words are listed."""


@dataclass(frozen=True, slots=True)
class _Whose:
    config: Config
    user: str


@click.group(invoke_without_command=True, short_help="Show, search, export and erase what is remembered.")
@click.option("--user", default="owner", show_default=True, help="Whose memory.")
@click.option(
    "--config", "file", type=click.Path(path_type=Path), help="The TOML file that the server is started with."
)
@click.option("--profile", type=click.Choice(config.profiles()), help="The profile that the server is started with.")
@click.pass_context
def memory(context: click.Context, user: str, file: Path | None, profile: str | None) -> None:
    """Show what is remembered: facts, and conversations where [memory] has them kept."""
    context.obj = _Whose(config.load(profile=profile, file=file), user)
    if context.invoked_subcommand is None:
        _show(context.obj)


def _show(whose: _Whose) -> None:
    from assistant.memory.records import record  # noqa: PLC0415 - the other commands start without the store's

    found = _run(whose, lambda database: record(database, whose.user))
    if found is None or not (found["facts"] or found["conversations"]):
        click.echo(f"Nothing is remembered of {whose.user}.")
        return
    for fact in found["facts"]:
        click.echo(f"{fact['at'][:10]}  {fact['text']}")
    kept = found["conversations"]
    if kept:
        click.echo(f"\n{len(kept)} conversations, {sum(len(each['messages']) for each in kept)} messages:")
    for each in kept[-_LISTED:]:
        first = each["messages"][0]
        click.echo(f"{first['at'][:16].replace('T', ' ')}  {len(each['messages']):3}  {first['text'][:80]}")


@memory.command()
@click.argument("words", nargs=-1, required=True)
@click.pass_obj
def search(whose: _Whose, words: tuple[str, ...]) -> None:
    """Find facts and messages by their words, and by what they mean where that model is here."""
    from assistant.memory.build import build_embedder  # noqa: PLC0415
    from assistant.memory.search import Found, search  # noqa: PLC0415
    from assistant.models import Store  # noqa: PLC0415

    name = whose.config.embeddings.model
    models = Store()
    embedder = build_embedder(whose.config, models.path(name) if models.has(name) else None)

    async def look(database: "Database") -> list[Found]:
        return await search(database, embedder, whose.user, " ".join(words))

    try:
        found = _run(whose, look)
    finally:
        if embedder is not None:
            embedder.close()
    for each in found or ():
        click.echo(f"{each.at:%Y-%m-%d %H:%M}  {each.role:9}  {each.text}")
    if not found:
        click.echo("Nothing like that is remembered.")
        sys.exit(1)


@memory.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="[FILE]", required=False)
@click.pass_obj
def export(whose: _Whose, file: Path | None) -> None:
    """Write everything of the person as JSON, into FILE or to the terminal. A file is readable by you alone."""
    from assistant.memory.records import Record, record  # noqa: PLC0415

    nothing: Record = {"user": whose.user, "exported_at": "", "facts": [], "conversations": []}
    found = _run(whose, lambda database: record(database, whose.user)) or nothing
    text = json.dumps(found, ensure_ascii=False, indent=2) + "\n"
    if file is None:
        click.echo(text, nl=False)
        return
    try:
        file.touch(mode=0o600, exist_ok=False)
        file.write_text(text, encoding="utf-8")
    except FileExistsError:
        raise ParleyError(f"{file} is there already: name another file.") from None
    except OSError as error:
        raise ParleyError(f"Cannot write {file}: {error.strerror}.") from error
    facts, kept = len(found["facts"]), len(found["conversations"])
    click.echo(f"{file}: {facts} facts, {kept} conversations of {whose.user}.")


@memory.command()
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.pass_obj
def erase(whose: _Whose, yes: bool) -> None:
    """Erase everything of the person, on the disk too. A running server forgets it with its next question.

    What a conversation that is going on says later is kept again. Copies that you exported stay.
    """
    from assistant.memory.memory import Memory  # noqa: PLC0415

    if not yes:
        click.confirm(f"Erase all facts and conversations of {whose.user}, for good?", abort=True)
    gone = _run(whose, lambda database: Memory(database).erase(whose.user))
    click.echo(f"{gone or 0} facts and messages of {whose.user} are erased.")


def _run(whose: _Whose, work: "Callable[[Database], Awaitable[T]]") -> T | None:
    """Do something with the store; None where there is none, since looking makes none."""
    from assistant.memory import tables  # noqa: F401, PLC0415 - so that they are made
    from assistant.store.database import Database, place  # noqa: PLC0415

    at = place(whose.config.store.url)
    if at.get_backend_name() == "sqlite" and not Path(at.database or "").exists():
        return None

    async def main() -> T:
        async with await Database.open(whose.config.store.url) as database:
            return await work(database)

    return asyncio.run(main())
