"""Writes configs/sentences/en/lookalikes.txt: English words that are one letter away from a word of the sentences.

`python -m tests.assistant.reflex.make_lookalikes /usr/share/dict/american-english` (Debian's package wamerican; its
word list is SCOWL's, free to use and to pass on), after the sentences have got new words.
"""

import sys
from pathlib import Path

from assistant.reflex.mishearings import Mishearings
from assistant.reflex.sentences import SENTENCES, sentences

OTHERS = "gonna wanna gotta yeah nope yep hmm ok tv wifi app iphone youtube"


def main() -> None:
    english = Path(sys.argv[1]).read_text(encoding="utf-8").split()
    mishearings = Mishearings(sentences("en").words, ())
    near = {word.casefold() for word in [*english, *OTHERS.split()] if word.isascii() and mishearings.meant(word)}
    (SENTENCES / "en" / "lookalikes.txt").write_text("\n".join(sorted(near)) + "\n", encoding="utf-8")
    print(f"{len(near)} words")


if __name__ == "__main__":
    main()
