"""Commands that other packages add to `parley`: offered by name and help line, imported when they are called."""

import ast
import importlib.util
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import click

GROUP = "parley.commands"


class Offered(click.Command):
    """A command that stands for one in a module not imported yet."""

    def __init__(self, entry: EntryPoint) -> None:
        super().__init__(entry.name, short_help=_help_line(entry))
        self._entry = entry

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Hand over to the real command, which parses the arguments and runs."""
        return self._load().make_context(info_name, args, parent, **extra)

    def _load(self) -> click.Command:
        try:
            command = self._entry.load()
        # OSError: a module that binds a system library, such as PortAudio, says so when that is missing.
        except (ImportError, AttributeError, OSError) as error:
            raise click.ClickException(
                f"`parley {self.name}` can't start: {error}. `parley doctor` says what is missing."
            ) from error
        if not isinstance(command, click.Command):
            raise click.ClickException(f"`parley {self.name}` can't start: {self._entry.value} is not a command.")
        return command


def offered() -> Mapping[str, Offered]:
    """Return the commands that installed packages offer, by name."""
    return {entry.name: Offered(entry) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)}


def _help_line(entry: EntryPoint) -> str:
    """Return the first line of the module's docstring, read without importing the module."""
    try:
        spec = importlib.util.find_spec(entry.module)
    except ImportError:
        spec = None
    if spec is None or spec.origin is None:
        return f"({entry.module} is not installed)"
    line = (ast.get_docstring(ast.parse(Path(spec.origin).read_bytes())) or "").partition("\n")[0]
    line = line.removeprefix(f"`parley {entry.name}`").removeprefix(":").strip()
    return line[:1].upper() + line[1:]
