"""Programs' own keys, over the official SDK: what they open, and where their limits are."""

import openai
import pytest
from openai import OpenAI
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.e2e.routing import listing, routing, written
from tests.faults.cloud import Cloud, echo
from tests.faults.replies import Reply

pytestmark = pytest.mark.e2e

TOKEN = "the-owner's-token-of-the-server"
KEY = "0123456789abcdef-home"
HELLO = [{"role": "user", "content": "Hello there"}]


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Start a server with one program; returns how to get a client with a key."""
    monkeypatch.setenv("KEY_HOME", KEY)
    clients = []

    def start(cloud: Cloud, limits: str):
        text = listing([("gpt", cloud, "quality = 0.9\nprice_in = 1000\nprice_out = 2000")])
        text += f'[[api.keys]]\nname = "home"\nkey_env = "KEY_HOME"\n{limits}\n'
        server = routing(written(tmp_path, text), token=TOKEN)
        url = server.__enter__()
        clients.append(server)

        def client(key: str) -> OpenAI:
            made = OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
            clients.append(made)
            return made

        return client, url

    yield start
    for each in reversed(clients):
        each.__exit__(None, None, None)


def ask(client: OpenAI, model: str = "gpt", **more):
    return client.chat.completions.create(model=model, messages=HELLO, **more)


def test_a_key_opens_http_and_nothing_else(served):
    with Cloud(echo) as cloud:
        client, url = served(cloud, "")
        assert ask(client(KEY)).choices[0].message.content == "Hello there"
        assert client(KEY).models.list().data
        with pytest.raises(openai.AuthenticationError):
            ask(client("0123456789abcdef-wrong"))
        with pytest.raises(openai.PermissionDeniedError, match="is for chats, speech"):
            client(KEY).realtime.client_secrets.create()
        with pytest.raises(InvalidStatus) as caught:
            connect(f"{url.replace('http', 'ws')}/v1/realtime", additional_headers={"Authorization": f"Bearer {KEY}"})
        assert caught.value.response.status_code == 403


def test_so_many_requests_a_minute(served):
    with Cloud(echo) as cloud:
        client, _ = served(cloud, "requests_a_minute = 2")
        home = client(KEY)
        for _ in range(2):
            ask(home)
        with pytest.raises(openai.RateLimitError, match="'home' asks more often") as caught:
            ask(home)
        assert 50 <= int(caught.value.response.headers["retry-after"]) <= 60
        ask(client(TOKEN))
    assert len(cloud.received) == 3


def test_so_many_at_once(served):
    with Cloud(echo) as cloud:
        client, _ = served(cloud, "at_once = 1")
        home = client(KEY)
        cloud.next(Reply(stall_after=3))
        stream = ask(home, stream=True)
        next(iter(stream))
        with pytest.raises(openai.RateLimitError):
            ask(home)
        ask(client(TOKEN))
        stream.close()
        cloud.received[0].wait()


def test_so_much_a_day_and_then_only_what_is_free(served):
    with Cloud(echo) as cloud:
        client, _ = served(cloud, "daily_cost = 0.05")
        home = client(KEY)
        for _ in range(2):  # 20 tokens sent and 11 received cost 0.042
            ask(home)
        with pytest.raises(openai.RateLimitError, match=r"has spent 0.084 of its 0.05 today") as caught:
            ask(home)
        assert caught.value.code == "insufficient_quota"
        assert ask(home, "parley/private").choices[0].message.content
        ask(client(TOKEN))
    assert len(cloud.received) == 3


def test_what_breaks_off_is_paid_as_well(served):
    with Cloud(Reply(cut_after=5)) as cloud:
        client, _ = served(cloud, "daily_cost = 0.001")
        home = client(KEY)
        with pytest.raises(openai.APIError):
            list(ask(home, stream=True))
        with pytest.raises(openai.RateLimitError):
            ask(home)
