"""The README must not fall behind."""

import tomllib
from pathlib import Path

import pytest

from assistant.config import CONFIGS

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
KEYS = [
    (section, key)
    for section, keys in tomllib.loads((CONFIGS / "default.toml").read_text(encoding="utf-8")).items()
    for key in keys
]


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_configuration_key_is_explained(section: str, key: str) -> None:
    (row,) = [line for line in README.splitlines() if line.startswith(f"| {section} | `{key}` |")]
    assert row.split("|")[4].strip()


def test_every_file_that_is_linked_exists() -> None:
    targets = [part.split(")")[0] for part in README.split("](")[1:]]
    assert targets
    for target in targets:
        if "://" not in target:
            assert (Path(__file__).resolve().parent.parent / target).exists(), target
