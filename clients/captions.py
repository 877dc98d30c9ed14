"""The conversation in a terminal: what is final scrolls up, what is being said stands below, with the state."""

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from rich.console import Group, RenderableType
from rich.text import Text

Floor: TypeAlias = Literal["listening", "hearing", "thinking", "speaking"]

_STATES: Final[dict[Floor, tuple[str, str]]] = {
    "listening": ("●", "Listening"),
    "hearing": ("◉", "Hearing you"),
    "thinking": ("◌", "Thinking"),
    "speaking": ("▶", "Speaking"),
}
_COLOURS: Final[dict[Floor, str]] = {
    "listening": "green",
    "hearing": "cyan",
    "thinking": "yellow",
    "speaking": "magenta",
}


class Captions:
    """Words of both sides. `print_line` gets each final line, once."""

    def __init__(self, print_line: Callable[[Text], None]) -> None:
        self.floor: Floor = "listening"
        self.watched = False
        """The camera is on, and Parley sees its pictures."""
        self._print = print_line
        self._hearing = ""
        self._saying = ""

    def heard(self, words: str) -> None:
        """Add words of the user's that are not the last."""
        self._hearing += words

    def understood(self, words: str) -> None:
        """Print what the user said; nothing if there were no words."""
        self._hearing = ""
        if words.strip():
            self._print(_line("You", "cyan", words.strip()))

    def said(self, words: str) -> None:
        """Add words of the answer."""
        self._saying += words

    def answered(self) -> None:
        """Print the answer as far as it came."""
        if self._saying.strip():
            self._print(_line("Parley", "magenta", self._saying.strip()))
        self._saying = ""

    def interrupted(self, heard: str) -> None:
        """Print the answer up to where it was heard, and what was not heard dimmed."""
        said, heard = self._saying.strip(), heard.strip()
        self._saying = ""
        if said:
            known = len(heard) if said.startswith(heard) else 0
            line = _line("Parley", "magenta", said[:known])
            self._print(line.append(said[known:], style="dim strike").append("  — you cut in", style="dim"))

    def warn(self, sentence: str) -> None:
        """Print what the server complains of; the conversation goes on."""
        self._print(Text(sentence, style="yellow"))

    def __rich__(self) -> RenderableType:
        """Render what is not final yet, and the state."""
        lines = []
        if self._hearing.strip():
            lines.append(_line("You", "cyan", self._hearing.strip() + " …", style="dim"))
        if self._saying.strip():
            lines.append(_line("Parley", "magenta", self._saying.strip()))
        sign, words = _STATES[self.floor]
        state = Text(f"{sign} {words}", style=_COLOURS[self.floor])
        if self.watched:
            state.append("   ● Camera on, Parley sees it", style="bold red")
        return Group(*lines, state.append("   Ctrl-C ends the conversation", style="dim"))


def _line(who: str, colour: str, words: str, style: str = "") -> Text:
    return Text.assemble((f"{who:>6}  ", f"bold {colour}"), (words, style))
