"""`parley serve` with the real models, a real MCP server, and the official SDK: a person asks, a tool knows."""

import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.e2e.fakes import silence
from tests.e2e.test_openai_sdk import append, converse, only, until_done
from tests.e2e.test_real_models import Served, check_answer, heard
from tests.mcp_service import serving

pytestmark = [pytest.mark.e2e, pytest.mark.models, pytest.mark.timeout(300)]


@pytest.fixture
def server(tmp_path):
    with serving() as service:
        config = tmp_path / "my.toml"
        config.write_text(
            f'[[tools.mcp]]\nlabel = "weather"\nurl = "{service.url}"\nallowed_tools = ["get_weather"]\n',
            encoding="utf-8",
        )
        serve = ["serve", "--port", "0", "--config", str(config)]
        command = [sys.executable, "-m", "assistant", *serve]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                ready = next(line for line in process.stdout if line.startswith("Parley is ready"))
                yield Served(re.search(r"http://\S+", ready)[0]), service
            finally:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=20)
        assert process.returncode == 0


def test_a_spoken_question_is_answered_with_what_the_owner_s_server_knows(server, clip):
    served, service = server

    async def talk(connection):
        async for event in connection:
            if event.type == "mcp_list_tools.completed":
                break
        # Left to itself, the model calls in most runs; what is tested is everything around its decision.
        choice = {"type": "mcp", "server_label": "weather", "name": "get_weather"}
        await connection.session.update(session={"type": "realtime", "tool_choice": choice})
        await append(connection, np.concatenate([clip("en_s2p_weather_new_york"), silence(1.5)]))
        return await until_done(connection), await until_done(connection)

    calling, answering = converse(served, talk)
    assert "weather" in heard(calling + answering)
    assert "New York" in only(calling, "response.mcp_call_arguments.done").arguments
    assert len(service.called) == 1
    check_answer(answering)
    transcript = only(answering, "response.output_audio_transcript.done").transcript.lower()
    assert "21" in transcript or "sunny" in transcript
