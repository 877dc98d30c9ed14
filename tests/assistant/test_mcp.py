"""MCP servers, reached for real: what they have, what they return, and all the ways in which they can fail."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from assistant.config import Tools, load
from assistant.server.mcp_tools import mcp_servers, shown
from assistant.tools.owned import owned
from assistant.tools.servers import McpServers
from assistant.tools.spec import ALL, NONE, McpServer, ToolFilter, origin_of, reachable
from pipeline.errors import RequestError
from pipeline.tool_servers import ListedTool, ToolError, ToolFailure
from tests.mcp_service import Service, serving

T = TypeVar("T")
LIMITS = load().tools
CLOSED = "http://127.0.0.1:9/mcp"


def using(server: McpServer, work: Callable[[McpServers], Awaitable[T]], limits: Tools = LIMITS) -> T:
    async def use() -> T:
        async with McpServers(limits) as servers:
            servers.learn([server])
            return await work(servers)

    return asyncio.run(use())


def at(service: Service, **changes: object) -> McpServer:
    return replace(McpServer("weather", service.url), **changes)  # type: ignore[arg-type]


def listed(server: McpServer, limits: Tools = LIMITS) -> tuple[ListedTool, ...]:
    return using(server, lambda servers: servers.tools(server.as_server), limits)


def called(server: McpServer, name: str, arguments: str = "{}", limits: Tools = LIMITS) -> str:
    return using(server, lambda servers: servers.call(server.as_server, name, arguments), limits)


def failure(server: McpServer, name: str = "", arguments: str = "{}", limits: Tools = LIMITS) -> ToolFailure:
    with pytest.raises(ToolError) as raised:
        called(server, name, arguments, limits) if name else listed(server, limits)
    return raised.value.failure


async def until(happened: list[str], what: str) -> None:
    async with asyncio.timeout(10):
        while what not in happened:  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0.01)


# --- What works ---


def test_tools_are_listed_as_the_server_describes_them() -> None:
    with serving() as service:
        tools = {tool.name: tool for tool in listed(at(service))}
    assert list(tools) == ["get_weather", "slow", "fail", "much", "picture", "open_door"]
    weather = tools["get_weather"]
    assert weather.description == "The weather of a city."
    assert '"city"' in weather.parameters
    assert weather.annotations == '{"readOnlyHint":true}'
    assert all(tool.asks for tool in tools.values()), "unless it is said otherwise, the user has to allow every call"


def test_a_tool_returns_its_text() -> None:
    with serving() as service:
        assert called(at(service), "get_weather", '{"city": "Rome"}') == "It is sunny in Rome, 21 degrees."
        assert called(at(service), "picture") == "See:\n(image, image/png)"


def test_an_older_server_is_reached_too() -> None:
    with serving("sse") as service:
        server = at(service)

        async def both(servers: McpServers) -> str:
            assert len(await servers.tools(server.as_server)) == 6
            return await servers.call(server.as_server, "get_weather", '{"city": "Oslo"}')

        assert "Oslo" in using(server, both)


def test_one_connection_serves_many_calls_at_once() -> None:
    with serving() as service:
        server = at(service)

        async def many(servers: McpServers) -> list[str]:
            arguments = [f'{{"city": "{number}"}}' for number in range(8)]
            return await asyncio.gather(*(servers.call(server.as_server, "get_weather", each) for each in arguments))

        assert len(set(using(server, many))) == 8


def test_keys_and_headers_are_sent_and_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "assistant")
    with serving(token="s3cret") as service:
        server = at(service, headers=(("authorization", "Bearer s3cret"), ("x-home", "kitchen")))
        assert listed(server)
        refused = failure(at(service, headers=(("authorization", "Bearer wr0ng"),)))
    assert {headers.get("x-home") for headers in service.headers} >= {"kitchen"}
    assert refused.kind == "http_error"
    assert refused.code == 401
    assert "check its authorization" in refused.message
    for text in (repr(server), repr(server.as_server), refused.message, caplog.text):
        assert "s3cret" not in text
        assert "wr0ng" not in text


# --- Limits ---


def test_a_long_result_is_cut() -> None:
    with serving() as service:
        text = called(at(service), "much")
    assert text == ("word " * 4000)[:20_000] + "… (cut here: it is too long)"


def test_too_many_tools_are_refused_until_some_are_chosen() -> None:
    few = LIMITS.model_copy(update={"mcp_max_tools": 2})
    with serving() as service:
        assert "more than 2 tools: name in allowed_tools" in failure(at(service), limits=few).message
        chosen = listed(at(service, allowed=ToolFilter(("fail", "slow"))), few)
        reading = listed(at(service, allowed=ToolFilter(read_only=True)), few)
    assert [tool.name for tool in chosen] == ["slow", "fail"]
    assert [tool.name for tool in reading] == ["get_weather"]


def test_a_tool_that_takes_too_long_is_given_up() -> None:
    quick = LIMITS.model_copy(update={"mcp_timeout_s": 0.5})
    with serving() as service:
        said = failure(at(service), "slow", '{"seconds": 30}', quick)
    assert said == ToolFailure("protocol_error", "The MCP server 'weather' took longer than 0.5 s.")
    assert service.cancelled == ["slow"]


def test_a_call_that_is_cancelled_is_cancelled_there() -> None:
    with serving() as service:
        server = at(service)

        async def cancel(servers: McpServers) -> str:
            call = asyncio.ensure_future(servers.call(server.as_server, "slow", '{"seconds": 30}'))
            await until(service.called, "slow")
            call.cancel()
            await asyncio.wait([call])
            await until(service.cancelled, "slow")
            return await servers.call(server.as_server, "get_weather", '{"city": "Rome"}')

        assert "Rome" in using(server, cancel)


def test_a_server_that_sends_far_too_much_is_not_read() -> None:
    with serving(too_much=True) as service:
        assert "sends more than 4 MiB at once" in failure(at(service)).message


# --- What fails ---


def test_a_tool_s_own_failure_is_told_in_its_words() -> None:
    with serving() as service:
        said = failure(at(service), "fail")
    assert said.kind == "tool_execution_error"
    assert "There is no such city." in said.message


def test_arguments_that_are_no_object_are_not_sent() -> None:
    with serving() as service:
        for arguments in ("[]", "{"):
            assert failure(at(service), "fail", arguments).message == "Its arguments aren't a JSON object."


def test_a_server_that_is_not_there() -> None:
    said = failure(McpServer("weather", CLOSED))
    assert said == ToolFailure("http_error", "The MCP server 'weather' can't be reached (ConnectError).")


@pytest.mark.parametrize("status", [404, 500, 302, 307])
def test_a_server_that_answers_with_an_error_or_sends_us_elsewhere(status: int) -> None:
    with serving(status=status) as service:
        said = failure(at(service))
    assert said.kind in ("http_error", "protocol_error")
    assert "weather" in said.message
    if status >= 400:
        assert said.code == status


def test_a_server_that_comes_back_is_used_again() -> None:
    with serving() as service:
        server = at(service)

        async def twice(servers: McpServers) -> str:
            await servers.tools(server.as_server)
            service.status = 503
            with pytest.raises(ToolError, match="HTTP status 503"):
                await servers.call(server.as_server, "get_weather", '{"city": "Rome"}')
            service.status = None
            return await servers.call(server.as_server, "get_weather", '{"city": "Rome"}')

        assert "Rome" in using(server, twice)


def test_a_server_that_is_not_known() -> None:
    other = McpServer("other", CLOSED).as_server
    with pytest.raises(ToolError, match="'other' isn't known any more"):
        using(McpServer("weather", CLOSED), lambda servers: servers.tools(other))


# --- What is said about a server ---


def tool(**fields: object) -> dict[str, object]:
    return {"type": "mcp", "server_label": "home", "server_url": "https://home.example/mcp", **fields}


ALLOWED = ("https://home.example",)


def server_of(**fields: object) -> McpServer:
    (server,) = mcp_servers([{"type": "function", "name": "f"}, tool(**fields)], ALLOWED, at="session.")
    return server


def test_what_a_client_says_about_a_server() -> None:
    server = server_of(authorization="abc", headers={"X-Room": "hall"}, allowed_tools=["a"], require_approval="never")
    headers = (("x-room", "hall"), ("authorization", "Bearer abc"))
    assert server == McpServer("home", "https://home.example/mcp", headers, ToolFilter(("a",)), NONE, ALL)
    assert server_of().asks("a", read_only=True)
    assert server.as_server != replace(server, headers=()).as_server
    assert server.as_server == replace(server).as_server


@pytest.mark.parametrize(
    ("approval", "asks"),
    [
        (None, ("read", "write", "other")),
        ("always", ("read", "write", "other")),
        ("never", ()),
        ({"never": {"tool_names": ["read"]}}, ("write", "other")),
        ({"never": {"read_only": True}}, ("write", "other")),
        ({"always": {"tool_names": ["write"]}}, ("write",)),
        ({"always": {"tool_names": ["write"]}, "never": {"tool_names": ["read", "write"]}}, ()),
    ],
)
def test_which_tools_need_permission(approval: object, asks: tuple[str, ...]) -> None:
    server = server_of(require_approval=approval)
    assert tuple(name for name in ("read", "write", "other") if server.asks(name, read_only=name == "read")) == asks


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"server_label": "1"}, "invalid_value", "server_label"),
        ({"server_url": None}, "missing_required_parameter", "server_url"),
        ({"server_url": "ftp://home.example"}, "invalid_value", "server_url"),
        ({"server_url": "https://me:pass@home.example"}, "invalid_value", "server_url"),
        ({"server_url": "https://home.example:99999999"}, "invalid_value", "server_url"),
        ({"server_url": "http://home.example/mcp"}, "mcp_server_not_allowed", "server_url"),
        ({"server_url": "https://home.example.evil.example"}, "mcp_server_not_allowed", "server_url"),
        ({"server_url": "http://169.254.169.254/latest"}, "mcp_server_not_allowed", "server_url"),
        ({"connector_id": "connector_gmail"}, "unsupported_parameter", "connector_id"),
        ({"tunnel_id": "t"}, "unsupported_parameter", "tunnel_id"),
        ({"headers": {"Host": "evil.example"}}, "invalid_value", "headers"),
        ({"headers": {"a b": "c"}}, "invalid_value", "headers"),
        ({"headers": {"a": "b\r\nc: d"}}, "invalid_value", "headers.a"),
        ({"authorization": "a\nb"}, "invalid_value", "authorization"),
        ({"authorization": "a", "headers": {"Authorization": "b"}}, "invalid_value", "authorization"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, object], code: str, param: str) -> None:
    with pytest.raises(RequestError) as raised:
        server_of(**fields)
    assert (raised.value.code, raised.value.param) == (code, f"session.tools.1.{param}")


def test_an_address_that_is_not_allowed_says_how_to_allow_it() -> None:
    with pytest.raises(RequestError, match=r'put mcp_servers = \["https://home.example"\] into the section \[tools\]'):
        mcp_servers([tool()], (), at="session.")


def test_labels_differ_and_servers_are_few() -> None:
    with pytest.raises(RequestError, match="as another server's"):
        mcp_servers([tool(), tool()], ALLOWED, at="session.")
    with pytest.raises(RequestError, match="at most 8 MCP servers"):
        mcp_servers([tool(server_label=f"s{number}") for number in range(9)], ALLOWED, at="session.")


def test_what_opens_doors_is_not_shown() -> None:
    tools = [tool(authorization="abc", headers={"a": "b"}), {"type": "function", "name": "f"}]
    assert shown(tools) == [tool(), {"type": "function", "name": "f"}]


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Home.Example:443/mcp?x#y", "https://home.example"),
        ("http://127.0.0.1:8123", "http://127.0.0.1:8123"),
        ("http://[::1]:80/", "http://[::1]"),
        ("https://home.example:0x/", None),
        ("//home.example", None),
        ("file:///etc/passwd", None),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: str | None) -> None:
    assert origin_of(url) == origin
    assert reachable(url, ["https://home.example/", "http://127.0.0.1:8123", "http://[::1]"]) == (origin is not None)


def test_the_owner_s_servers_have_their_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME_TOKEN", "abc")
    config = LIMITS.model_validate(
        LIMITS.model_dump()
        | {
            "mcp": [
                {"label": "home", "url": "http://h/mcp", "key_env": "HOME_TOKEN", "allowed_tools": ["a"]},
                {"label": "web", "url": "http://w/mcp", "require_approval": "always"},
            ]
        }
    )
    home, web = owned(config)
    assert home == McpServer("home", "http://h/mcp", (("authorization", "Bearer abc"),), ToolFilter(("a",)), NONE, ALL)
    assert web == McpServer("web", "http://w/mcp")
