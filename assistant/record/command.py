"""`parley replay`: run recorded conversations through the pipeline again, and say what is different."""

import difflib
import json
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import click

from pipeline.errors import ParleyError


@click.command(short_help="Run recorded conversations again and compare.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="turn.KEY=VALUE",
    help="Replay with another turn-taking setting; may be repeated.",
)
def replay(folder: Path, as_json: bool, changes: Sequence[str]) -> None:
    """Replay a recording, or every recording in a folder, on virtual time.

    DIR is what `parley serve --record` has made. Prints what happened when, and marks where that isn't what was
    recorded. Exits 0 when it is the same, 1 when something differs, 2 when it can't be replayed.
    """
    from assistant.record import reading, timeline  # noqa: PLC0415 - the other commands start without them
    from assistant.record.compare import compare  # noqa: PLC0415
    from assistant.record.replay import replay as run  # noqa: PLC0415

    turn = dict(_change(change) for change in changes)
    reports = []
    failed = different = False
    for path in reading.folders(folder):
        try:
            recording = reading.read(path)
            replayed = run(recording, turn)
        except ParleyError as error:
            failed = True
            click.echo(f"Error: {error}", err=True)
            continue
        pairs = compare(recording, replayed, turn)
        different = different or timeline.differ(pairs) > 0
        if as_json:
            reports.append(timeline.as_json(recording, replayed, pairs, turn))
        else:
            for line in timeline.timeline(recording, replayed, pairs):
                click.echo(line)
    if as_json:
        report = {"same": not (failed or different), "recordings": reports}
        click.echo(json.dumps(report, ensure_ascii=False, indent=2))
    sys.exit(2 if failed else int(different))


def _change(change: str) -> tuple[str, Any]:
    """Read "turn.min_silence_s=0.3". Raises ParleyError when there is no such key, or it can't have that value."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

    from assistant.config import Turn  # noqa: PLC0415

    name, equals, text = change.partition("=")
    section, _, key = name.strip().partition(".")
    if not equals or section != "turn":
        raise ParleyError(f"--set {change}: write it as turn.KEY=VALUE, such as turn.min_silence_s=0.3.")
    field = Turn.model_fields.get(key)
    if field is None:
        near = difflib.get_close_matches(key, Turn.model_fields, n=1)
        hint = f" Did you mean turn.{near[0]}?" if near else ""
        raise ParleyError(f"--set {change}: there is no turn.{key}.{hint}")
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[field.annotation, field])  # type: ignore[arg-type]
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    try:
        return key, adapter.validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Input ").lower()
        raise ParleyError(f"--set {change}: turn.{key} {problem}.") from None
