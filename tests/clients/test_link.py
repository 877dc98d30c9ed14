"""The link against a scripted server and against none."""

import asyncio
import socket

import numpy as np
import pytest

from clients import link
from clients.link import LinkError, Lost, Refused, Unreachable, connect
from clients.tls import is_exposed


def test_sound_survives_the_wire() -> None:
    samples = np.linspace(-1, 0.999, 480, dtype=np.float32)
    assert np.abs(link.decode(link.encode(samples)) - samples).max() < 1 / 32768


def test_damaged_sound_is_named() -> None:
    with pytest.raises(Lost, match="damaged"):
        link.decode("AA==")


def test_a_conversation_goes_both_ways(serving) -> None:
    async def script(conversation) -> None:
        await conversation.receive("conversation.item.truncate")
        await conversation.send("conversation.item.truncated", item_id="a", content_index=0, audio_end_ms=250)

    async def main() -> None:
        async with serving(script) as server, connect(server.url) as client:
            assert (await client.receive())["type"] == "session.created"
            await client.append_audio(np.zeros(480, np.float32))
            await client.update({"instructions": "Be brief."}, event_id="mine")
            await client.commit()
            await client.cancel()
            await client.say("hello")
            await client.truncate("a", 0.25)
            assert (await client.receive())["audio_end_ms"] == 250
            kinds = [event["type"] for event in server.conversations[0].received]
            assert kinds == [
                "input_audio_buffer.append",
                "session.update",
                "input_audio_buffer.commit",
                "response.cancel",
                "conversation.item.create",
                "response.create",
                "conversation.item.truncate",
            ]
            update = server.conversations[0].received[1]
            assert update["session"] == {"type": "realtime", "instructions": "Be brief."}
            assert update["event_id"] == "mine"

    asyncio.run(main())


def test_no_server_says_how_to_start_one(unused_port: int) -> None:
    url = f"ws://127.0.0.1:{unused_port}/v1/realtime"
    assert _refusal(url) == (
        Unreachable,
        f"No Parley server answers at {url}: start it with `make run` or `parley serve`, or name another address "
        "with --url.",
    )


@pytest.mark.parametrize(
    ("url", "exposed"),
    [
        ("ws://127.0.0.1:8765/v1/realtime", False),
        ("ws://localhost/v1/realtime", False),
        ("ws://[::1]/v1/realtime", False),
        ("ws://192.168.1.5:8765/v1/realtime", True),
        ("ws://localhost.example/v1/realtime", True),
        ("wss://192.168.1.5:8765/v1/realtime", False),
    ],
)
def test_an_address_where_others_can_listen_in(url: str, exposed: bool) -> None:
    assert is_exposed(url) is exposed


def test_an_address_of_another_kind_is_named() -> None:
    kind, sentence = _refusal("http://127.0.0.1:8765")
    assert kind is Unreachable
    assert "is not a websocket address" in sentence


@pytest.mark.parametrize(("given", "says"), [(None, "wants a token"), ("wrong", "refused the token")])
def test_a_wrong_token_is_told_from_none(serving, given: str | None, says: str) -> None:
    async def main() -> None:
        async with serving(lambda conversation: conversation.until_gone(), token="right") as server:
            with pytest.raises(Refused, match=f"{says}.*PARLEY_TOKEN"):
                async with connect(server.url, given):
                    pass
            async with connect(server.url, "right") as client:
                assert (await client.receive())["type"] == "session.created"

    asyncio.run(main())


def test_a_wrong_path_is_named(serving) -> None:
    async def main() -> None:
        async with serving(lambda conversation: conversation.until_gone()) as server:
            with pytest.raises(Refused, match="no Realtime endpoint"):
                async with connect(server.url + "/nowhere"):
                    pass

    asyncio.run(main())


def test_something_that_is_no_websocket_server(serving) -> None:
    async def main() -> None:
        async def gibber(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example ESMTP\r\n")
            writer.close()

        server = await asyncio.start_server(gibber, "127.0.0.1", 0, family=socket.AF_INET)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(Refused, match="is not a websocket server"):
                async with connect(f"ws://127.0.0.1:{port}/"):
                    pass

    asyncio.run(main())


def test_a_server_that_leaves_says_why(serving) -> None:
    async def script(conversation) -> None:
        await conversation.websocket.close(1001, "The server is shutting down")

    async def main() -> None:
        async with serving(script) as server, connect(server.url) as client:
            with pytest.raises(Lost, match="shutting down"):
                async for _ in client:
                    pass
            with pytest.raises(Lost, match="shutting down"):
                await client.append_audio(np.zeros(480, np.float32))

    asyncio.run(main())


def test_a_connection_that_breaks_off(serving) -> None:
    async def script(conversation) -> None:
        conversation.websocket.transport.abort()

    async def main() -> None:
        async with serving(script) as server, connect(server.url) as client:
            with pytest.raises(Lost, match="broke off"):
                async for _ in client:
                    pass

    asyncio.run(main())


def test_a_server_of_another_protocol(serving) -> None:
    async def script(conversation) -> None:
        await conversation.websocket.send("hello")

    async def main() -> None:
        async with serving(script) as server, connect(server.url) as client:
            await client.receive()
            with pytest.raises(Lost, match="does not speak the Realtime protocol"):
                await client.receive()

    asyncio.run(main())


def _refusal(url: str) -> tuple[type[LinkError], str]:
    async def main() -> None:
        async with connect(url):
            pass

    with pytest.raises(LinkError) as caught:
        asyncio.run(main())
    return type(caught.value), str(caught.value)
