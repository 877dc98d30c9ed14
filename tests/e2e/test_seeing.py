"""A camera over a real socket, seen by scripted eyes: what is answered, what is refused, what is told, what is kept."""

import asyncio
import base64
import dataclasses
import json
import logging
import struct

import pytest

from assistant.config import load
from assistant.llm.endpoint import Endpoint, Patience
from assistant.llm.endpoint_errors import Where
from assistant.reflex.reflexes import Reflexes
from assistant.reflex.responses import Responses
from assistant.reflex.watch_commands import WatchCommands
from assistant.reflex.watches import Watches
from assistant.router import kinds
from assistant.router.build import router_settings
from assistant.router.kinds import Guess
from assistant.router.router import Parts, Router
from assistant.server.frames import Frame, Kind, pack
from tests.assistant.router.doubles import MemoryLedger, ScriptedClassifier
from tests.assistant.router.test_over_http import HttpBackend
from tests.e2e.fakes import OneAnswerModel, OneSentenceRecogniser, fake_engines, silence, voice
from tests.faults.cloud import Cloud
from tests.faults.replies import Reply
from tests.pipeline.doubles import ScriptedEyes, ScriptedSight
from vision.detect.coco import LABELS

pytestmark = pytest.mark.e2e

HEADER = b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", 480, 640)
BOOK = b"book: THE HOBBIT"


class FileEyes(ScriptedEyes):
    """See what stands behind a JPEG's header."""

    def open(self):
        return FileSight(self)


class FileSight(ScriptedSight):
    async def look(self, frame, *, closely=False):
        return await super().look(dataclasses.replace(frame, data=frame.data.removeprefix(HEADER)), closely=closely)

    async def picture(self, frame, *, longest, blur_faces):
        frame = dataclasses.replace(frame, data=frame.data.removeprefix(HEADER))
        return await super().picture(frame, longest=longest, blur_faces=blur_faces)


class Recogniser(OneSentenceRecogniser):
    """Stands for a recogniser that hears this."""

    def __init__(self, text):
        self._text = text

    async def transcribe(self, audio, **options):
        return dataclasses.replace(await super().transcribe(audio, **options), text=self._text)


def seeing(model, text="What am I wearing?"):
    router = Router(model, Parts(), router_settings(load()))
    return dataclasses.replace(fake_engines(router), stt=Recogniser(text), eyes=FileEyes(takes_s=0.01, closely_s=0.05))


async def show(client, data, seconds=0.0, every_s=0.15):
    for _ in range(max(1, round(seconds / every_s))):
        await client.socket.send(pack(Frame(Kind.PICTURE, HEADER + data)))
        await asyncio.sleep(every_s)


async def opened(client, **extensions):
    # In writing: speech would come as binary messages, too.
    session = {"output_modalities": ["text"], "parley": {"binary": True, "scene": True} | extensions}
    await client.send("session.update", session=session)
    await client.until("session.updated")


async def ask(client):
    await client.speak(voice(0.6))
    await client.speak(silence(1.5))
    return await client.until("response.done")


def words(done):
    content = done["response"]["output"][0]["content"][0]
    return content.get("transcript") or content["text"]


def test_what_is_shown_is_told_to_the_model_and_to_the_client_and_kept_by_nobody(serve, caplog):
    model = OneAnswerModel()
    caplog.set_level(logging.DEBUG)

    async def talk():
        async with serve(engines=seeing(model)).client() as client:
            await opened(client)
            await show(client, BOOK, 0.5)
            scene = await client.until("parley.scene")
            await ask(client)
            await client.send("parley.conversation.retrieve")
            return scene, await client.until("parley.conversation.retrieved")

    scene, kept = asyncio.run(talk())
    assert scene["summary"] == "A book."
    assert [thing["label"] for thing in scene["things"]] == ["book"]
    assert model.prompts[-1][-1].content.startswith("What am I wearing? (On camera: A book.")
    told = json.dumps(kept)
    assert "On camera" not in told
    assert "HOBBIT" not in told
    assert not any(secret in caplog.text for secret in ("HOBBIT", "A book", base64.b64encode(BOOK).decode()))


def test_without_a_camera_the_answer_says_so(serve):
    model = OneAnswerModel()

    async def talk():
        async with serve(engines=seeing(model)).client() as client:
            return await ask(client)

    assert words(asyncio.run(talk())) == "I can't see anything: the camera is off."
    assert model.prompts == []


def test_text_is_read_out_as_it_stands_there(serve):
    async def talk():
        async with serve(engines=seeing(OneAnswerModel(), "What does it say?")).client() as client:
            await opened(client)
            await show(client, BOOK, 0.3)
            return await ask(client)

    assert words(asyncio.run(talk())) == "It says: THE HOBBIT"


def test_a_client_that_switches_its_camera_off_is_not_seen_any_more(serve):
    async def talk():
        async with serve(engines=seeing(OneAnswerModel())).client() as client:
            await opened(client)
            await show(client, BOOK, 0.3)
            await client.until("parley.scene")
            await client.send("parley.camera", on=False)
            return await ask(client)

    assert "camera is off" in words(asyncio.run(talk()))


def test_the_pictures_of_stock_clients_are_seen(serve):
    model = OneAnswerModel()
    url = "data:image/jpeg;base64," + base64.b64encode(HEADER + BOOK).decode()

    async def talk():
        async with serve(engines=seeing(model)).client() as client:
            content = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": url}]
            item = {"type": "message", "role": "user", "content": content}
            await client.send("conversation.item.create", item=item)
            await client.send("response.create")
            await client.until("response.done")

    asyncio.run(talk())
    assert model.prompts[-1][-1].content == "What is it? (My picture shows: A book. Text: 'THE HOBBIT'.)"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GIF89a", "invalid_image"),
        (HEADER[:8], "invalid_image"),
        (HEADER[:7] + struct.pack(">HH", 20000, 20000), "image_too_large"),
        (HEADER + b"broken", "invalid_image"),
    ],
)
def test_what_is_no_picture_is_refused_and_the_voice_goes_on(serve, data, code):
    model = OneAnswerModel()

    async def talk():
        async with serve(engines=seeing(model, "what time is it")).client() as client:
            await opened(client)
            await client.socket.send(pack(Frame(Kind.PICTURE, data)))
            error = await client.until("error")
            return error["error"]["code"], await ask(client)

    found, done = asyncio.run(talk())
    assert found == code
    assert done["response"]["status"] == "completed"


def test_frames_faster_than_anybody_can_look_are_dropped_and_counted_and_the_voice_stays(serve):
    engines = seeing(OneAnswerModel(), "what time is it")
    engines.eyes.takes_s = 0.3

    async def talk():
        async with serve(engines=engines).client() as client:
            await opened(client)
            async with asyncio.TaskGroup() as group:
                group.create_task(show(client, BOOK, 2.0, every_s=0.01))
                done = await ask(client)
            await show(client, b"cup", 0.3)
            scene = await client.until("parley.scene")
            while scene["summary"] != "A cup.":
                scene = await client.until("parley.scene")
            return done, scene

    done, scene = asyncio.run(talk())
    assert done["response"]["status"] == "completed"
    assert scene["dropped_frames"] > 100


# --- What the user waits to see ---


class House:
    """The sessions of a server that doesn't run yet."""

    present = None

    async def ask(self, session, request):
        return await self.present.ask(session, request)

    def connected(self, user):
        return self.present.connected(user)


def watching(serve):
    """Start a server with the reflexes about what the camera shows; its watches run with it."""
    house = House()
    watches = Watches(house)
    reflexes = Reflexes(WatchCommands(watches, LABELS, Responses()).handlers())
    reflexes.warm()
    router = Router(OneAnswerModel(), Parts(reflexes=reflexes), router_settings(load()))
    engines = dataclasses.replace(fake_engines(router), eyes=FileEyes(takes_s=0.01, closely_s=0.05))
    server = serve(engines=engines)
    house.present = server.present
    server.present.when_seen(watches.saw)
    asyncio.run_coroutine_threadsafe(watches.run(), server.loop)
    return server


async def say(client, text):
    content = [{"type": "input_text", "text": text}]
    await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
    await client.send("response.create")
    return words(await client.until("response.done"))


def test_it_speaks_up_when_what_the_user_waits_for_has_come_true(serve):
    async def talk():
        server = watching(serve)
        async with server.client() as kitchen, server.client() as bedroom:
            await opened(kitchen)
            await opened(bedroom)
            await show(kitchen, b"cup", 0.5)
            said = [await say(kitchen, "Tell me when a cat appears."), await say(kitchen, "What are you watching for?")]
            await show(kitchen, b"cup, cat", 0.6)
            fired = await kitchen.until("parley.watch")
            elsewhere = await bedroom.until("parley.watch")
            said.append(words(await kitchen.until("response.done")))
            return said, fired, elsewhere

    said, fired, elsewhere = asyncio.run(talk())
    assert said == ["Okay, I'll tell you when a cat appears.", "I'll tell you when a cat appears.", "I see a cat."]
    assert (fired["watch"], fired["text"]) == ("a cat appears", "I see a cat.")
    assert (elsewhere["watch"], elsewhere["text"]) == ("a cat appears", "")


def test_closed_eyes_see_nothing_until_the_client_opens_them(serve):
    async def talk():
        server = watching(serve)
        async with server.client() as client:
            await opened(client)
            await show(client, BOOK, 0.5)
            await say(client, "Close your eyes.")
            camera = next(message for message in client.seen if message["type"] == "parley.camera")
            await show(client, BOOK, 0.5)
            refused = await client.until("error")
            blind = await say(client, "What do you see?")
            await client.send("parley.camera", on=True)
            await show(client, BOOK, 0.5)
            return camera, refused, blind, await say(client, "What do you see?")

    camera, refused, blind, seen = asyncio.run(talk())
    assert (camera["on"], camera["by"]) == (False, "user")
    assert refused["error"]["code"] == "camera_off"
    assert blind == "I can't see anything: the camera is off."
    assert seen == "I see a book."


# --- A model with eyes, behind real HTTP ---


@pytest.mark.parametrize(("place", "blurred"), [("cloud", True), ("lan", False)])
def test_a_model_elsewhere_is_shown_the_one_picture_that_was_there(serve, place, blurred):
    ledger = MemoryLedger()

    async def talk(backend):
        camera = ScriptedClassifier(Guess(kinds.Kind.CAMERA))
        router = Router(OneAnswerModel(), Parts([backend], classifier=camera, ledger=ledger), router_settings(load()))
        engines = dataclasses.replace(seeing(OneAnswerModel()), llm=router)
        server = serve(engines=engines)
        async with server.client() as client:
            await opened(client)
            await show(client, BOOK, 0.5)
            done = await ask(client)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(backend.endpoint.close(), server.loop))
        return done, engines.eyes.pictures

    with Cloud(Reply(("It", " is", " a", " book."))) as cloud:
        endpoint = Endpoint(Where("eyes", cloud.url, "127.0.0.1", "model"), patience=Patience(5, 5, 5, 20))
        done, pictures = asyncio.run(talk(HttpBackend("eyes", place=place, vision=True, endpoint=endpoint)))
        content = cloud.received[-1].body["messages"][-1]["content"]
    assert words(done) == "It is a book."
    assert pictures == [(BOOK, 768, blurred)]
    sent = "data:image/jpeg;base64," + base64.b64encode(b"JPEG of " + BOOK).decode()
    assert [part["type"] for part in content] == ["text", "image_url"]
    assert content[1]["image_url"]["url"] == sent
    (left,) = ledger.opened_
    assert left.messages[-1].pictures[0].url == sent
    assert left.sent_bytes > len(sent)
