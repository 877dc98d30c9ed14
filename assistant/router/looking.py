"""What a turn sees: whether its question needs the camera, and what a model is told, or shown, of it."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pipeline.blind import UNSEEN, in_words
from pipeline.engines import ChatMessage, ChatRequest, Unseen
from vision.types import Scene

LONGEST: Final = 768
"""Pixels of the longer side of a picture that is sent to a model: more costs more, and is rarely of use."""
LONGEST_TO_READ: Final = 1536

_ASKS: Final = re.compile(
    r"\b(?:"
    # en
    r"(?:can|do|could|did) you (?:still )?(?:see|spot|recogni[sz]e|read)\b|(?:are you )?(?:seeing|looking at)\b"
    r"|(?:take |have )?a (?:quick |closer |good )?look\b|look (?:at|here|closely)\b|(?:the|your|my|this) camera\b"
    r"|what(?:'s| is| are|'re) (?:this|that|these|those)(?: here| there| thing)?[.?!]*$"
    r"|(?:am i|i'm|i am) (?:holding|wearing|showing|pointing|doing)\b|in (?:my|this) (?:left |right )?hand\b"
    r"|(?:i'm|i am|i) show(?:ing)? you\b|who(?:'s| is) (?:this|that|here|there|at the door|in the room)\b"
    r"|read (?:me |us )?(?:this|that|it|these|out|the (?:text|label|sign|letter|page|title|box|screen|display|code))\b"
    r"|what (?:does|do) (?:this|that|these|it|the (?:text|label|sign|letter|page|title|box|screen|display)) say\b"
    r"|(?:what|which) colou?r (?:is|are) (?:this|that|these|those|it|my)\b"
    r"|how many (?:\w+ ){1,3}(?:do you see|can you see)\b"
    r"|how many (?:\w+ ){1,3}(?:are|is) (?:there )?(?:here|(?:on|in) (?:this|the|my) \w+)[.?!]*$"
    r"|describe (?:what you see|the (?:room|scene|picture)|this|that|me)\b|how do i look\b|do i look\b"
    # de
    r"|(?:siehst|erkennst) du\b|was (?:ist das|siehst du|halte ich)\b|schau (?:mal|dir)\b|lies (?:mir )?(?:das|vor)\b"
    r"|die kamera\b"
    # fr
    r"|(?:vois-tu|tu vois|peux-tu voir)\b|qu'est-ce que (?:c'est|je tiens)\b|regarde\b|lis-moi\b"
    # es
    r"|(?:ves|puedes ver)\b|qué (?:es esto|es eso|tengo en la mano)\b|mira (?:esto|aquí)\b|léeme\b"
    r")",
    re.IGNORECASE,
)
_REFERS: Final = re.compile(r"\b(?:it|its|this|that|these|those|they|them|he|she|his|her|here|there|now|and)\b", re.I)
_SHORT_WORDS: Final = 9
_TEXT: Final = re.compile(
    r"\b(?:read|says?|said|written|writing|words?|text|label|letters?|title|page|sign|screen|display|number|code|price"
    r"|receipt|date|ingredients|book|called|lies|steht|text|écrit|lis|dice|escrito|léeme)\b",
    re.IGNORECASE,
)


def asks_to_see(text: str) -> bool:
    """Tell whether these words surely ask for something to be seen."""
    return _ASKS.search(text.replace("’", "'")) is not None


def goes_on(text: str) -> bool:
    """Tell whether these words, said after such a question, may be about the same."""
    return len(text.split()) <= _SHORT_WORDS and _REFERS.search(text) is not None


def wants_text(text: str) -> bool:
    """Tell whether what is written somewhere may be asked for."""
    return _TEXT.search(text) is not None


async def with_camera(request: ChatRequest, *, pictures: bool, blur_faces: bool) -> ChatRequest:
    """Return the request with what the camera shows, behind the question: as a picture, where the model takes those.

    Where nothing can be seen, the model is told why.
    """
    view, at = request.view, _question(request.messages)
    assert view is not None
    asked = request.messages[at]
    closely = wants_text(asked.content)
    scene = await view.look(closely=closely and not pictures)
    if pictures and isinstance(scene, Scene):
        longest = LONGEST_TO_READ if closely else LONGEST
        picture = await view.picture(longest=longest, blur_faces=blur_faces)
        if picture is not None:
            content = f"{asked.content} (The last picture is what my camera shows now.)"
            return _replaced(request, at, replace(asked, content=content, pictures=(*asked.pictures, picture)))
        scene = await view.look(closely=closely)
    return _replaced(request, at, replace(asked, content=f"{asked.content} (Camera: {_told(scene)})"))


async def without_pictures(request: ChatRequest) -> ChatRequest:
    """Return it for a model that takes none: with what they show in words, as far as that is known."""
    if not any(message.pictures for message in request.messages):
        return request
    at = _question(request.messages)
    told = [
        await in_words(message, request.view, UNSEEN if number == at else "")
        for number, message in enumerate(request.messages)
    ]
    return replace(request, messages=tuple(told))


def _told(scene: Scene | Unseen) -> str:
    match scene:
        case "off":
            return "off"
        case "stale":
            return "no picture comes from it any more"
        case "black":
            return "all black, it may be covered"
        case "broken":
            return "its picture is broken"
        case Scene(summary=summary):
            return summary or "nothing that you know"


def _question(messages: Sequence[ChatMessage]) -> int:
    return next(at for at in reversed(range(len(messages))) if messages[at].role == "user")


def _replaced(request: ChatRequest, at: int, message: ChatMessage) -> ChatRequest:
    return replace(request, messages=(*request.messages[:at], message, *request.messages[at + 1 :]))
