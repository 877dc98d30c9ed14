"""Tools of a real MCP server, in real conversations over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from assistant.config import McpTool
from pipeline.engines import Finish, Generated, TextDelta, ToolCall
from pipeline.remote_calls import MOST_ROUNDS
from tests.e2e.fakes import OneAnswerModel, fake_engines, silence, voice
from tests.e2e.test_openai_sdk import converse
from tests.mcp_service import Service, serving

pytestmark = pytest.mark.e2e

ANSWER = "It is sunny in Rome."
ROME = ToolCall("c", "get_weather", '{"city": "Rome"}')


class ToolModel(OneAnswerModel):
    """Stands for a model that calls what it is told to, and then answers."""

    def __init__(self, *calls: ToolCall) -> None:
        super().__init__()
        self.calls = calls or (ROME,)

    async def stream(self, request) -> AsyncIterator[Generated]:
        self.prompts.append(request.messages)
        await asyncio.sleep(0)
        if request.messages[-1].role != "tool" and request.toolbox.may_call:
            for call in self.calls:
                yield call
        else:
            yield TextDelta(ANSWER)
        yield Finish("stop", input_tokens=20, cached_tokens=5, output_tokens=9)


@pytest.fixture
def service():
    with serving() as service:
        yield service


def tools_of(service: Service, **fields) -> list[dict]:
    return [
        {"type": "mcp", "server_label": "weather", "server_url": service.url, "require_approval": "never", **fields}
    ]


def allowing(service: Service, **more) -> dict:
    return {"mcp_servers": (service.origin,), **more}


async def configure(client, service: Service, **fields):
    await client.send("session.update", session={"tools": tools_of(service, **fields)})
    updated = await client.until("session.updated")
    await client.until("mcp_list_tools.completed")
    return updated


async def type_it(client, **response):
    content = [{"type": "input_text", "text": "How is the weather in Rome?"}]
    await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
    await client.send("response.create", response=response)


def of(client, kind):
    return [message for message in client.seen if message["type"] == kind]


def test_a_spoken_question_is_answered_with_what_a_tool_of_a_server_says(serve, service):
    model = ToolModel()

    async def talk():
        async with serve(engines=fake_engines(model), tools=allowing(service)).client() as client:
            updated = await configure(client, service, authorization="s3cret", headers={"x-a": "s3cret"})
            listed = len(client.seen)
            await client.speak(voice(0.6))
            await client.speak(silence(1.5))
            first = await client.until("response.done")
            second = await client.until("response.done")
            return client, updated, listed, first, second

    client, updated, listed, first, second = asyncio.run(talk())
    assert updated["session"]["tools"] == tools_of(service), "without what opens doors"
    assert "s3cret" not in json.dumps(client.seen)
    assert client.kinds()[1:listed] == [
        "session.updated",
        "conversation.item.added",
        "mcp_list_tools.in_progress",
        "conversation.item.done",
        "mcp_list_tools.completed",
    ]
    listing = of(client, "conversation.item.done")[0]["item"]
    assert listing["tools"][0]["name"] == "get_weather"
    assert listing["tools"][0]["input_schema"]["properties"]["city"] == {"title": "City", "type": "string"}
    assert listing["tools"][0]["annotations"] == {"readOnlyHint": True}
    started = client.kinds().index("response.created")
    assert client.kinds()[started : client.kinds().index("response.done") + 1] == [
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    (call,) = first["response"]["output"]
    assert (call["type"], call["server_label"], call["name"]) == ("mcp_call", "weather", "get_weather")
    assert call["output"] == "It is sunny in Rome, 21 degrees."
    assert call["error"] is None
    (answer,) = second["response"]["output"]
    assert answer["content"][0]["transcript"] == ANSWER
    assert model.prompts[-1][-1].content == call["output"]
    assert service.called == ["get_weather Rome"]
    assert [headers["authorization"] for headers in service.headers] == ["Bearer s3cret"] * len(service.headers)


def test_a_tool_is_called_only_when_the_user_allows_it(serve, service):
    async def talk(answer: bool):
        engines = fake_engines(ToolModel(ToolCall("c", "open_door", "{}")))
        async with serve(engines=engines, tools=allowing(service)).client() as client:
            await configure(client, service, require_approval={"never": {"read_only": True}})
            await type_it(client)
            first = await client.until("response.done")
            before = list(service.called)
            call, request = first["response"]["output"]
            item = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": answer}
            # As @openai/agents does: after the request, with no id.
            await client.send("conversation.item.create", item=item, previous_item_id=request["id"])
            second = await client.until("response.done")
            return client, before, call, request, second

    client, before, call, request, second = asyncio.run(talk(True))
    assert (request["type"], request["name"], request["arguments"]) == ("mcp_approval_request", "open_door", "{}")
    assert (call["type"], call["approval_request_id"], call["output"]) == ("mcp_call", request["id"], None)
    assert before == []
    assert service.called == ["open_door"]
    kinds = client.kinds()
    after = kinds[kinds.index("response.done") + 1 :]
    assert after[:6] == [
        "conversation.item.added",
        "conversation.item.done",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "conversation.item.done",
        "response.created",
    ]
    assert second["response"]["output"][0]["content"][0]["transcript"] == ANSWER
    client, _, _, _, _ = asyncio.run(talk(False))
    assert service.called == ["open_door"], "not again"
    (failed,) = of(client, "response.mcp_call.failed")
    item = next(m["item"] for m in of(client, "conversation.item.done") if m["item"]["id"] == failed["item_id"])
    assert item["error"] == {"type": "tool_execution_error", "message": "The user didn't allow it."}


def test_a_client_may_name_no_server_until_the_owner_allows_it(serve, service):
    async def talk():
        async with serve(engines=fake_engines(ToolModel())).client() as client:
            await client.send("session.update", session={"tools": tools_of(service)}, event_id="e1")
            error = await client.until("error")
            await client.send("response.create", response={"tools": tools_of(service)}, event_id="e2")
            return error["error"], (await client.until("error"))["error"]

    update, response = asyncio.run(talk())
    assert (update["code"], update["param"], update["event_id"]) == (
        "mcp_server_not_allowed",
        "session.tools.0.server_url",
        "e1",
    )
    assert f'mcp_servers = ["{service.origin}"]' in update["message"]
    assert (response["code"], response["param"]) == ("mcp_server_not_allowed", "response.tools.0.server_url")
    assert service.headers == []


def test_a_server_that_cannot_be_had_is_told_of_and_the_conversation_goes_on(serve, service):
    service.status = 503

    async def talk():
        async with serve(engines=fake_engines(ToolModel()), tools=allowing(service)).client() as client:
            await client.send("session.update", session={"tools": tools_of(service)})
            failed = await client.until("mcp_list_tools.failed")
            error = await client.until("error")
            await type_it(client)
            return failed, error["error"], await client.until("response.done")

    failed, error, done = asyncio.run(talk())
    assert failed["item_id"]
    assert (error["type"], error["code"]) == ("server_error", "mcp_list_tools_failed")
    assert "HTTP status 503" in error["message"]
    assert done["response"]["output"][0]["content"][0]["transcript"] == ANSWER


def test_a_tool_that_fails_and_one_that_is_cancelled(serve, service):
    calls = (ToolCall("a", "fail", "{}"), ToolCall("b", "slow", '{"seconds": 30}'))

    async def talk():
        async with serve(engines=fake_engines(ToolModel(*calls)), tools=allowing(service)).client() as client:
            await configure(client, service)
            await type_it(client, output_modalities=["text"])
            failed = await client.until("response.mcp_call.failed")
            await client.send("response.cancel")
            return client, failed, await client.until("response.done")

    client, failed, done = asyncio.run(talk())
    fail, slow = done["response"]["output"]
    assert done["response"]["status"] == "cancelled"
    assert (failed["item_id"], failed["output_index"]) == (fail["id"], 0)
    assert "no such city" in fail["error"]["message"]
    assert "cancelled" in slow["error"]["message"]
    ended = [m["item"]["id"] for m in of(client, "conversation.item.done")]
    assert fail["id"] in ended
    assert slow["id"] not in ended, "nothing follows from it"
    assert service.cancelled == ["slow"]


def test_whoever_waits_for_a_slow_tool_hears_something(serve, service):
    slow = ToolCall("a", "slow", '{"seconds": 1.6}')

    async def talk():
        async with serve(engines=fake_engines(ToolModel(slow)), tools=allowing(service)).client() as client:
            await client.send("session.update", session={"parley": {"route": True}})
            await configure(client, service)
            await type_it(client)
            return client, await client.until("response.done")

    client, done = asyncio.run(talk())
    assert [message["text"] for message in of(client, "parley.bridge")] == ["One moment."]
    call, message = done["response"]["output"]
    assert call["output"] == "done at last"
    assert message["content"][0]["transcript"] == ""
    assert of(client, "response.output_audio.delta")


def test_a_response_may_name_a_server_of_its_own(serve, service):
    async def talk():
        async with serve(engines=fake_engines(ToolModel()), tools=allowing(service)).client() as client:
            await configure(client, service)
            await client.send("session.update", session={"tools": []})
            await client.until("session.updated")
            choice = {"type": "mcp", "server_label": "weather", "name": "get_weather"}
            await type_it(client, tools=tools_of(service), tool_choice=choice, output_modalities=["text"])
            return await client.until("response.done"), await client.until("response.done")

    calls, says = asyncio.run(talk())
    assert calls["response"]["output"][0]["type"] == "mcp_call"
    assert says["response"]["output"][0]["content"][0]["text"] == ANSWER


def test_an_answer_to_permission_does_not_belong_into_a_response(serve, service):
    item = {"type": "mcp_approval_response", "approval_request_id": "x", "approve": True}

    async def talk():
        async with serve(engines=fake_engines(ToolModel())).client() as client:
            await client.send("response.create", response={"input": [item]})
            return (await client.until("error"))["error"]

    error = asyncio.run(talk())
    assert (error["code"], error["param"]) == ("unsupported_item", "response.input.0.type")


def test_every_session_has_the_owner_s_servers(serve, service, monkeypatch):
    service.token = "s3cret"
    monkeypatch.setenv("WEATHER_TOKEN", "s3cret")
    mine = McpTool(label="weather", url=service.url, key_env="WEATHER_TOKEN", allowed_tools=("get_weather",))

    async def talk():
        async with serve(engines=fake_engines(ToolModel()), tools={"mcp": (mine,)}).client() as client:
            await client.until("mcp_list_tools.completed")
            await client.send("session.update", session={"tools": [{"type": "mcp", "server_label": "weather"}]})
            await client.until("session.updated")
            await type_it(client)
            return client, await client.until("response.done")

    client, done = asyncio.run(talk())
    (listing,) = [m["item"] for m in of(client, "conversation.item.done") if m["item"]["type"] == "mcp_list_tools"]
    assert [tool["name"] for tool in listing["tools"]] == ["get_weather"]
    assert done["response"]["output"][0]["output"] == "It is sunny in Rome, 21 degrees."
    assert "s3cret" not in json.dumps(client.seen)


def test_an_ephemeral_key_may_bring_a_server_with_it(serve, service):
    import httpx2  # noqa: PLC0415 - of this test alone

    running = serve(engines=fake_engines(ToolModel()), tools=allowing(service))
    session = {"type": "realtime", "tools": tools_of(service, authorization="s3cret")}
    made = httpx2.post(f"{running.url}/v1/realtime/client_secrets", json={"session": session}).json()
    assert "s3cret" not in json.dumps(made)

    async def talk():
        async with running.client(additional_headers={"Authorization": f"Bearer {made['value']}"}) as client:
            await client.until("mcp_list_tools.completed")
            await type_it(client)
            return await client.until("response.done")

    assert asyncio.run(talk())["response"]["output"][0]["type"] == "mcp_call"
    assert service.headers[0]["authorization"] == "Bearer s3cret"


def test_the_official_sdk_calls_a_tool_and_asks_for_the_answer_as_well(serve, service):
    """Its users send response.create after a call, as OpenAI's own server wants it."""
    model = ToolModel()

    async def talk(connection):
        await connection.session.update(
            session={"type": "realtime", "output_modalities": ["text"], "tools": tools_of(service)}
        )
        seen, done = [], 0
        async for event in connection:
            seen.append(event)
            match event.type:
                case "mcp_list_tools.completed":
                    content = [{"type": "input_text", "text": "The weather in Rome?"}]
                    await connection.conversation.item.create(
                        item={"type": "message", "role": "user", "content": content}
                    )
                    await connection.response.create()
                case "conversation.item.done" if event.item.type == "mcp_call":
                    await connection.response.create(response={"tool_choice": "none"})
                case "response.done":
                    done += 1
                    if done == 2:
                        await asyncio.sleep(0.3)
                        await connection.session.update(session={"type": "realtime", "tracing": None})
                case "session.updated" if done:
                    return seen
                case "error":
                    raise AssertionError(event.error.message)
        raise AssertionError("it closed")

    seen = converse(serve(engines=fake_engines(model), tools=allowing(service)), talk)
    assert len([event for event in seen if event.type == "response.created"]) == 2
    assert [event.text for event in seen if event.type == "response.output_text.done"] == [ANSWER]
    assert len(model.prompts) == 2 <= MOST_ROUNDS
