"""The README's examples of the HTTP side, run as they stand; only the address is another."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.e2e.fakes import ANSWER, HEARD, fake_engines
from tests.e2e.test_openai_http import TWO_SENTENCES, ShapedModel, encoded

pytestmark = pytest.mark.e2e

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## The HTTP side")[1].split("\n## ")[0]


def example(language):
    (text,) = re.findall(rf"```{language}\n(.*?)```", SECTION, re.S)
    return text


@pytest.fixture
def server(serve, tmp_path, monkeypatch):
    (tmp_path / "meeting.mp3").write_bytes(encoded(TWO_SENTENCES, "mp3"))
    monkeypatch.chdir(tmp_path)
    return serve(engines=fake_engines(ShapedModel()))


def test_the_examples_for_curl(server, tmp_path):
    commands = example("sh").replace("http://127.0.0.1:8765", server.url).replace("\\\n", " ").splitlines()
    subtitles, _, completion = (
        subprocess.run(["curl", "-sS", "--fail", *shlex.split(command)[1:]], capture_output=True, text=True, check=True)
        for command in commands
    )
    assert HEARD in subtitles.stdout
    assert (tmp_path / "dinner.mp3").stat().st_size > 1000
    assert ANSWER in completion.stdout


def test_the_example_for_the_sdk(server, capsys):
    code = example("python").replace("http://127.0.0.1:8765", server.url)
    scope = {}
    exec(code, scope)  # it is our own
    scope["client"].close()
    assert capsys.readouterr().out == f"{ANSWER}{HEARD} {HEARD}"
