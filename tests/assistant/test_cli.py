import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from assistant import cli, commands, doctor
from assistant.catalogue import Model, Wheels
from assistant.config import Config, load
from assistant.doctor import Finding, Verdict
from assistant.models import Store
from assistant.server import app
from assistant.server.listener import bind
from pipeline.errors import ParleyError
from tests.assistant.conftest import CONTENTS, model

Run = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store."""
    monkeypatch.setenv("PARLEY_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("PARLEY_TOKEN", raising=False)
    return tmp_path / "models"


@pytest.fixture
def run(root: Path) -> Run:
    def invoke(*args: str) -> Result:
        result = CliRunner().invoke(cli.main, args)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    assert not root.exists()
    return invoke


@pytest.fixture
def tiny(wheels: Wheels, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The only model that there is, and all that any configuration needs."""
    only = model(wheels)
    monkeypatch.setattr("assistant.catalogue.read", lambda: {"tiny": only})
    monkeypatch.setattr(Config, "models", lambda _self: ("tiny",))
    return only


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """A server that is ready at once and stops."""
    seen: list[Config] = []

    async def serve(config: Config, _store: Store, on_ready: Callable[[str], None], _record: None, _tls: None) -> None:
        await asyncio.sleep(0)
        seen.append(config)
        on_ready("http://127.0.0.1:8765")

    monkeypatch.setattr(app, "serve", serve)
    return seen


# --- serve ---


@pytest.mark.usefixtures("tiny")
def test_the_first_run_fetches_and_the_address_is_the_last_line(run: Run, served: list[Config], root: Path) -> None:
    result = run("serve", "--port", "0", "--profile", "better")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [f"Fetching 1 of 1 models (1.2 kB) into {root}", "  tiny (1.2 kB)"]
    assert result.stdout.splitlines()[-1] == "Parley is ready: http://127.0.0.1:8765"
    assert served[0].server.port == 0
    assert served[0].llm.model == "qwen2.5-coder-1.5b"
    assert run_again(served).stderr == ""


def run_again(served: list[Config]) -> Result:
    result = CliRunner().invoke(cli.main, ["serve", "--port", "0"])
    assert len(served) == 2
    return result


@pytest.mark.usefixtures("tiny")
def test_bars_move_on_a_terminal(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(cli, "_advance", lambda _bars, _bar, arrived, total: told.append((arrived, total)))
    cli._pull_with_bars(Store(root), ["tiny"], cli.Console(file=io.StringIO(), force_terminal=True))
    assert told[-1][0] == told[-1][1] > 0


@pytest.mark.usefixtures("tiny", "served")
def test_a_taken_port_is_told_before_anything_is_fetched(run: Run, root: Path) -> None:
    with bind(load(port=0).server) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port))
    assert result.exit_code == 2
    assert result.stderr == f"Error: Port {port} is taken by another program: stop it or pass another with --port.\n"
    assert not root.exists()


@pytest.mark.usefixtures("tiny", "served")
def test_other_machines_need_a_token(run: Run, root: Path) -> None:
    result = run("serve", "--host", "0.0.0.0", "--port", "0")
    assert result.exit_code == 2
    assert "PARLEY_TOKEN" in result.stderr
    assert not root.exists()


@pytest.mark.usefixtures("served")
def test_an_address_of_another_machine_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_TOKEN", "word")
    result = run("serve", "--host", "192.0.2.1", "--port", "0")
    assert result.exit_code == 2
    assert "This machine has no address 192.0.2.1" in result.stderr


def test_a_bad_configuration_is_one_sentence(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[server]\nprot = 1\n")
    result = run("serve", "--config", str(file))
    assert result.exit_code == 2
    assert result.stderr == f"Error: {file}: [server] prot: there is no such key. Did you mean 'port'?\n"


@pytest.mark.usefixtures("offline")
def test_without_a_network_the_missing_model_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    result = run("serve", "--port", "0")
    assert result.exit_code == 2
    assert "Error: Offline: the model silero-vad is not on this machine" in result.stderr
    assert "secret" not in result.stderr


@pytest.mark.usefixtures("tiny")
def test_ctrl_c_ends_without_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "serve", serve)
    result = run("serve", "--port", "0")
    assert result.exit_code == 130
    assert result.stderr.endswith("Stopped.\n")


@pytest.mark.usefixtures("tiny")
def test_an_error_of_the_server_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(*_: object) -> None:
        raise ParleyError("The model is no model.")

    monkeypatch.setattr(app, "serve", serve)
    result = run("serve", "--port", "0")
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: The model is no model.\n")


# --- models ---


@pytest.mark.usefixtures("tiny")
def test_models_are_fetched_listed_checked_and_found(run: Run, root: Path) -> None:
    assert "absent" in run("models", "list").stdout
    assert "No model is on this machine yet" in run("models", "verify").stdout
    assert run("models", "path", "tiny").exit_code == 2
    assert run("models", "pull").stdout == f"tiny: ready in {root}\n"
    assert run("models", "pull", "tiny").stderr == ""
    assert "ready" in run("models", "list").stdout
    assert run("models", "verify").stdout == "✓ tiny\n"
    assert run("models", "path", "tiny").stdout == f"{root / 'tiny'}\n"


@pytest.mark.usefixtures("tiny")
def test_a_damaged_model_is_told_and_repaired(run: Run, root: Path) -> None:
    run("models", "pull", "tiny")
    (root / "tiny" / "model.bin").write_bytes(bytes(len(CONTENTS["model.bin"])))
    result = run("models", "verify", "tiny")
    assert result.exit_code == 1
    assert result.stdout.startswith("✗ The model tiny is damaged: model.bin has the sha256 ")
    assert run("models", "pull", "tiny").exit_code == 0
    assert run("models", "verify", "tiny").exit_code == 0


def test_an_unknown_model_names_the_nearest(run: Run) -> None:
    result = run("models", "pull", "whisper-bse")
    assert result.exit_code == 2
    assert result.stderr == "Error: There is no model 'whisper-bse'. Did you mean 'whisper-base'?\n"


# --- doctor ---


@pytest.mark.parametrize(
    ("verdict", "code", "words"), [(Verdict.WARN, 0, "can work"), (Verdict.FAIL, 1, "can't work yet")]
)
def test_the_doctor_says_whether_serving_can_work(
    run: Run, monkeypatch: pytest.MonkeyPatch, verdict: Verdict, code: int, words: str
) -> None:
    finding = Finding(verdict, "Thing", "it is so.", "Do this.")
    monkeypatch.setattr(cli, "examine", lambda *_: iter([finding]))
    result = run("doctor", "--profile", "tiny")
    assert result.exit_code == code
    assert str(finding) in result.stdout
    assert words in result.stdout
    told = json.loads(run("doctor", "--json").stdout)
    assert told == {"can_serve": code == 0, "findings": [finding.as_json()]}
    assert doctor.examine is not cli.examine


# --- commands of other packages ---


@pytest.fixture
def offers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Offer a command `hail` whose module has this source."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "hail_command", raising=False)
    entry = EntryPoint("hail", "hail_command:command", commands.GROUP)
    monkeypatch.setattr(commands, "entry_points", lambda group: [entry] if group == commands.GROUP else [])

    def write(source: str) -> None:
        (tmp_path / "hail_command.py").write_text(source)

    return write


def test_a_command_is_offered_without_importing_it(run: Run, offers: Callable[[str], None]) -> None:
    offers('"""`parley hail`: say hello.\n\nMore."""\nraise AssertionError\n')
    result = run("--help")
    assert re.search(r"hail +Say hello\.", result.stdout)
    assert "hail_command" not in sys.modules


def test_a_command_runs_with_its_own_options(run: Run, offers: Callable[[str], None]) -> None:
    offers("import click\n@click.command()\n@click.option('--name')\ndef command(name): click.echo(f'Hello {name}')\n")
    assert run("hail", "--name", "you").stdout == "Hello you\n"
    assert "--name" in run("hail", "--help").stdout


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("import no_such_library\n", "No module named 'no_such_library'"),
        ("raise OSError('PortAudio library not found')\n", "PortAudio library not found"),
        ("other = 1\n", "has no attribute 'command'"),
        ("command = 1\n", "hail_command:command is not a command"),
    ],
)
def test_a_command_that_cannot_start_says_why(
    run: Run, offers: Callable[[str], None], source: str, problem: str
) -> None:
    offers(source)
    result = run("hail")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: `parley hail` can't start: ")
    assert problem in result.stderr


@pytest.mark.usefixtures("offers")
def test_a_command_that_is_not_installed_is_still_listed(run: Run) -> None:
    assert "(hail_command is not installed)" in run("--help").stdout


def test_a_command_in_a_package_that_is_not_installed_is_still_listed() -> None:
    entry = EntryPoint("far", "no_such_package.far:command", commands.GROUP)
    assert commands.Offered(entry).get_short_help_str() == "(no_such_package.far is not installed)"


def test_an_unknown_command_is_told(run: Run) -> None:
    result = run("srve")
    assert result.exit_code == 2
    assert "No such command 'srve'" in result.stderr


def test_every_offered_command_exists() -> None:
    for name, offered in commands.offered().items():
        context = offered.make_context(name, [], resilient_parsing=True)
        assert isinstance(context.command, click.Command)


# --- as a program ---


def parley(*args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "assistant", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.usefixtures("root")
def test_the_program_ends_with_two_and_one_sentence() -> None:
    with parley("serve", "--port", "70000") as process:
        out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert err == "Error: command line: [server] port: it should be less than or equal to 65535, and it is 70000.\n"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_pull_leaves_nothing(root: Path, site: tuple[Path, str], sent: signal.Signals, code: int) -> None:
    folder, address = site
    pipe = folder / "model.bin"
    os.mkfifo(pipe)  # a download that never goes on
    program = (
        "import assistant.catalogue as c, sys; m = c.read()['silero-vad'];"
        f"w = c.Web(kind='web', addresses={{'silero_vad.onnx': '{address}/model.bin'}});"
        "c.read = lambda: {'silero-vad': m.model_copy(update={'sources': (w,)})};"
        "from assistant.cli import main; main(['models', 'pull', 'silero-vad'])"
    )
    with (
        subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process,
        pipe.open("wb"),  # waits until the page's server opens it, which is when the download begins
    ):
        process.send_signal(sent)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in err
    assert [path.name for path in root.rglob("*")] == [".fetching", "silero-vad.lock"]


@pytest.mark.models
@pytest.mark.e2e
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_the_server_starts_says_where_and_stops_on_a_signal(
    model_path: Callable[[str], Path], sent: signal.Signals
) -> None:
    for name in load(profile="tiny").models():
        model_path(name)
    with parley("serve", "--port", "0", "--profile", "tiny") as process:
        assert process.stdout is not None
        lines = []
        while (line := process.stdout.readline()) and not line.startswith("Parley is ready"):
            lines.append(line)
        address = line.removeprefix("Parley is ready: ").strip()
        with urllib.request.urlopen(f"{address}/readyz") as answer:
            assert json.load(answer)["status"] == "ready"
        process.send_signal(sent)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == ""  # the address was the last line
    assert "Traceback" not in err
    assert any("Models loaded in" in line for line in lines)
