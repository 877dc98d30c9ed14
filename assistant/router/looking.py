"""What a turn sees: whether its question needs the camera, and what a model is told, or shown, of it.

The model on this machine is small: it makes up what it can't see, and garbles what it is to read out. So what is
certain it isn't asked for.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final, assert_never

from assistant.router.seen import answer
from pipeline.blind import UNSEEN, in_words
from pipeline.engines import ChatMessage, ChatRequest, Finish, Generated, LanguageModel, TextDelta, Unseen
from vision.types import Scene
from vision.wording import NO_TEXT

LONGEST: Final = 768
"""Pixels of the longer side of a picture that is sent to a model: more costs more, and is rarely of use."""
LONGEST_TO_READ: Final = 1536

_WRITTEN: Final = r"(?:text|label|sign|letter|page|title|box|screen|display|note|card|receipt|book|code)"
_PICTURE: Final = r"(?:this|the|my) (?:picture|photo|photograph|image)"
_ASKS: Final = (
    # en
    r"(?:can|do|could|did) you (?:still )?(?:see|spot|recogni[sz]e)",
    r"(?:are you )?(?:seeing|looking at)",
    r"(?:take |have )?a (?:quick |closer |good )?look",
    r"look (?:at|here|closely)",
    r"(?:the|your|my|this) camera",
    r"(?:tell me what|describe what) you see",
    r"what(?:'s| is| are|'re) (?:this|that|these|those)(?: here| there| thing)?(?=[.?!]*$)",
    r"what(?:'s| is) (?:\w+ ){0,3}(?:written|printed|on|in|with|at|behind|in front of|under) "
    r"(?:this|that|these|those|me|you)",
    r"what's (?:on|under) the (?:table|desk|floor|shelf)",
    r"what's (?:happening|moving) (?:outside|there|here)",
    r"(?:what|which) (?:kind of |type of |sort of |breed of |make of )?\w+ is (?:this|that)(?! (?:story|song|film))",
    r"(?:what|which) colou?r (?:is|are) (?:this|that|these|those|it|my)",
    rf"what (?:does|do) (?:(?:this|that|these)(?: \w+)?|it|the {_WRITTEN}) (?:say|show|read|mean|look like to you)",
    rf"read (?:me |us )?(?:this|that|it|these|out|the {_WRITTEN})",
    r"read (?:me |us )?(?:what's|the \w+(?: \w+)?) on (?:this|that|the|my)",
    r"(?:am i|i'm|i am) (?:holding|wearing|showing|pointing|doing)",
    r"in (?:my|this) (?:left |right )?hand",
    r"(?:i'm|i am|i) show(?:ing)? you",
    r"who(?:'s| is) (?:this|that|here|there|at the door|in the room)(?=[.?!]*$)",
    r"(?:any|some)(?:one|body) (?:standing |coming |waiting )?"
    r"(?:here|there|at the door|behind me|in the (?:room|doorway))",
    r"(?:in front of|behind) (?:me|you)",
    r"how many (?:\w+ ){1,3}(?:do you see|can you see)",
    r"how many (?:\w+ ){1,3}(?:are|is) (?:there )?(?:here|on (?:this|the|my) \w+|in (?:this|my) \w+)(?=[.?!]*$)",
    r"describe (?:the (?:room|scene|picture)|this|that|me)",
    r"(?:how )?do i look",
    r"(?:does|do|is|are) (?:this|these|my) (?:\w+ )?"
    r"(?:look|suit me|match|straight|ripe|done|dirty|clean|crooked|real)",
    # de
    r"(?:siehst|erkennst) du",
    r"was (?:ist das|siehst du|halte ich)",
    r"schau (?:mal|dir)",
    r"lies (?:mir )?(?:das|vor)",
    r"die kamera",
    # fr
    r"(?:vois-tu|tu vois|peux-tu voir)",
    r"qu'est-ce que (?:c'est|je tiens)",
    r"(?:regarde|lis-moi)",
    # es
    r"(?:ves|puedes ver)",
    r"qué (?:es esto|es eso|tengo en la mano)",
    r"(?:mira (?:esto|aquí)|léeme)",
)
_ASKED: Final = re.compile(rf"\b(?:{'|'.join(_ASKS)})(?!\w)", re.IGNORECASE)
_REFERS: Final = re.compile(r"\b(?:it|its|this|that|these|those|they|them|he|she|his|her|here|there|now|and)\b", re.I)
_SHORT_WORDS: Final = 9
_TEXT: Final = re.compile(
    r"\b(?:read|says?|said|written|writing|words?|text|label|letters?|title|page|sign|screen|display|number|code|price"
    r"|receipt|date|ingredients|book|called|lies|steht|text|écrit|lis|dice|escrito|léeme)\b",
    re.IGNORECASE,
)
_TO_READ: Final = re.compile(
    r"(?:please |(?:can|could|would) you )?(?:"
    rf"read (?:me |out |aloud |us )*(?:this|that|it|what it says|(?:this|that|the|my) {_WRITTEN})(?: out| aloud)?"
    rf"|tell me what (?:this|that|it|the {_WRITTEN}) says"
    rf"|what (?:does|do) (?:this|that|it|(?:this|that|the|my) {_WRITTEN}) say"
    rf"|what(?:'s| is) (?:written|printed) (?:here|there|on (?:this|that|it|(?:this|that|the|my) {_WRITTEN}))"
    r")(?: to me| for me| please)*[.?! ]*",
    re.IGNORECASE,
)
_TO_TELL: Final = re.compile(
    rf"(?:what (?:do|can) you see(?: now| here| there| (?:in|on) {_PICTURE})?"
    rf"|what(?:'s| is) (?:there )?(?:in|on) {_PICTURE}|what does {_PICTURE} show"
    rf"|(?:please )?describe (?:what you see|the scene|this|{_PICTURE})|tell me what (?:you see|is in {_PICTURE}))"
    r"(?: please)?[.?! ]*",
    re.IGNORECASE,
)
_UNSEEN: Final[dict[Unseen, dict[str, str]]] = {
    "off": {
        "en": "I can't see anything: the camera is off.",
        "de": "Ich sehe nichts: Die Kamera ist aus.",
        "fr": "Je ne vois rien : la caméra est éteinte.",
        "es": "No veo nada: la cámara está apagada.",
        "it": "Non vedo niente: la fotocamera è spenta.",
        "nl": "Ik zie niets: de camera is uit.",
        "pt": "Não vejo nada: a câmara está desligada.",
    },
    "stale": {
        "en": "I can't see anything now: no picture comes from the camera any more.",
        "de": "Ich sehe gerade nichts: Von der Kamera kommt kein Bild mehr.",
        "fr": "Je ne vois plus rien : la caméra n'envoie plus d'image.",
        "es": "Ahora no veo nada: la cámara ya no envía imágenes.",
        "it": "Ora non vedo niente: dalla fotocamera non arrivano più immagini.",
        "nl": "Ik zie nu niets: er komt geen beeld meer van de camera.",
        "pt": "Agora não vejo nada: já não chegam imagens da câmara.",
    },
    "black": {
        "en": "I can't see anything: all is black. Perhaps the camera is covered.",
        "de": "Ich sehe nichts: Alles ist schwarz. Vielleicht ist die Kamera verdeckt.",
        "fr": "Je ne vois rien : tout est noir. La caméra est peut-être couverte.",
        "es": "No veo nada: todo está negro. Quizá la cámara esté tapada.",
        "it": "Non vedo niente: è tutto nero. Forse la fotocamera è coperta.",
        "nl": "Ik zie niets: alles is zwart. Misschien is de camera afgedekt.",
        "pt": "Não vejo nada: está tudo preto. Talvez a câmara esteja tapada.",
    },
    "broken": {
        "en": "I can't see anything: the camera's pictures are damaged.",
        "de": "Ich sehe nichts: Die Bilder der Kamera sind beschädigt.",
        "fr": "Je ne vois rien : les images de la caméra sont endommagées.",
        "es": "No veo nada: las imágenes de la cámara están dañadas.",
        "it": "Non vedo niente: le immagini della fotocamera sono danneggiate.",
        "nl": "Ik zie niets: de beelden van de camera zijn beschadigd.",
        "pt": "Não vejo nada: as imagens da câmara estão danificadas.",
    },
}

_PICTURE_UNSEEN: Final[dict[Unseen, dict[str, str]]] = {
    "black": {
        "en": "I can't see anything in the picture: it is all black.",
        "de": "Ich sehe nichts auf dem Bild: Es ist ganz schwarz.",
        "fr": "Je ne vois rien sur l'image : elle est toute noire.",
        "es": "No veo nada en la imagen: está toda negra.",
        "it": "Non vedo niente nell'immagine: è tutta nera.",
        "nl": "Ik zie niets op de foto: die is helemaal zwart.",
        "pt": "Não vejo nada na imagem: está toda preta.",
    },
    "broken": {
        "en": "I can't see the picture: it is damaged.",
        "de": "Ich kann das Bild nicht sehen: Es ist beschädigt.",
        "fr": "Je ne peux pas voir l'image : elle est endommagée.",
        "es": "No puedo ver la imagen: está dañada.",
        "it": "Non riesco a vedere l'immagine: è danneggiata.",
        "nl": "Ik kan de foto niet zien: die is beschadigd.",
        "pt": "Não consigo ver a imagem: está danificada.",
    },
}


def asks_to_see(text: str) -> bool:
    """Tell whether these words surely ask for something to be seen."""
    return _ASKED.search(text.replace("’", "'")) is not None


def sees(request: ChatRequest, looks_for: str) -> bool:
    """Tell whether there is something to see for this question, which is empty where it isn't about the camera."""
    return bool(looks_for) and request.view is not None and request.view.on


def goes_on(text: str) -> bool:
    """Tell whether these words, said after such a question, may be about the same."""
    return len(text.split()) <= _SHORT_WORDS and _REFERS.search(text) is not None


def wants_text(text: str) -> bool:
    """Tell whether what is written somewhere may be asked for."""
    return _TEXT.search(text) is not None


async def certain(request: ChatRequest, question: str, *, blind: bool) -> str | None:
    """Return the answer, where none but this is right: nothing can be seen, or what is there is all that is asked.

    `blind`: the model would have to take our word for it.
    """
    assert request.view is not None
    text = _plain(question)
    scene = await request.view.look(closely=_TO_READ.fullmatch(text) is not None or wants_text(text))
    if not isinstance(scene, Scene):
        return _in_language(_UNSEEN[scene], request)
    return _said_of(scene, text, blind=blind)


async def certain_of_picture(request: ChatRequest) -> str | None:
    """Return the same of a question that a person asks with one picture, for a model that can't see it."""
    asked = request.illustrated
    if request.view is None or not request.asker.session or asked is None or len(asked.pictures) != 1:
        return None
    text = _plain(asked.content)
    scene = await request.view.see(asked.pictures[0])
    if not isinstance(scene, Scene):
        wanted = asks_to_see(text) or _TO_TELL.fullmatch(text) is not None
        return _in_language(_PICTURE_UNSEEN[scene], request) if wanted else None
    return _said_of(scene, text, blind=True)


def _plain(question: str) -> str:
    return question.strip().replace("’", "'")


def _in_language(said: dict[str, str], request: ChatRequest) -> str:
    return said.get((request.asker.language or "en").split("-")[0].lower(), said["en"])


def _said_of(scene: Scene, text: str, *, blind: bool) -> str | None:
    if _TO_READ.fullmatch(text):
        lines = [line.text for line in scene.text or ()] or [code.text for code in scene.codes or ()]
        return f"It says: {' '.join(lines)}" if lines else "I can't see anything that I could read."
    if _TO_TELL.fullmatch(text):
        seen = scene.summary.replace("facing you", "facing me").replace(f"; {NO_TEXT}", "")
        return f"I see {seen[:1].lower()}{seen[1:]}" if seen else "I can see something, but nothing that I know."
    return answer(scene, text) if blind else None


async def with_camera(request: ChatRequest, question: str, *, pictures: bool, blur_faces: bool) -> ChatRequest:
    """Return the request with what the camera shows, behind the question: as a picture, where the model takes those.

    Where nothing can be seen, the model is told why.
    """
    view, at = request.view, _place(request.messages)
    assert view is not None
    asked = request.messages[at]
    closely = wants_text(question)
    scene = await view.look(closely=closely and not pictures)
    if pictures and isinstance(scene, Scene):
        longest = LONGEST_TO_READ if closely else LONGEST
        picture = await view.picture(longest=longest, blur_faces=blur_faces)
        if picture is not None:
            content = f"{asked.content} (The last picture is what my camera shows now.)"
            return _replaced(request, at, replace(asked, content=content, pictures=(*asked.pictures, picture)))
        scene = await view.look(closely=closely)
    return _replaced(request, at, replace(asked, content=f"{asked.content} (On camera: {told(scene)})"))


async def without_pictures(request: ChatRequest) -> ChatRequest:
    """Return it for a model that takes none: with what they show in words, as far as that is known."""
    if not any(message.pictures for message in request.messages):
        return request
    at = _place(request.messages)
    messages = [
        await in_words(message, request.view, UNSEEN if number == at else "")
        for number, message in enumerate(request.messages)
    ]
    last = request.messages[-1]
    return replace(request, messages=tuple(messages), illustrated=last if last.pictures else None)


def told(scene: Scene | Unseen) -> str:
    """Return what a model is told of what the camera shows."""
    match scene:
        case "off":
            return "nothing, it is off"
        case "stale":
            return "nothing, no picture comes from it any more"
        case "black":
            return "nothing, all is black: it may be covered"
        case "broken":
            return "nothing, its pictures are damaged"
        case Scene(summary=summary):
            return summary or "nothing that can be made out"
        case _:
            assert_never(scene)


def _place(messages: Sequence[ChatMessage]) -> int:
    return next(at for at in reversed(range(len(messages))) if messages[at].role == "user")


def _replaced(request: ChatRequest, at: int, message: ChatMessage) -> ChatRequest:
    return replace(request, messages=(*request.messages[:at], message, *request.messages[at + 1 :]))


async def ask_here(model: LanguageModel, request: ChatRequest, question: str) -> AsyncGenerator[Generated, None]:
    """Ask the model on this machine; `question` is the user's, where it is about what the camera shows."""
    blind, said = not model.takes_pictures, None
    if question:
        said = await certain(request, question, blind=blind)
    elif blind:
        said = await certain_of_picture(request)
    if said is not None:
        yield TextDelta(said)
        yield Finish("stop", 0, 0, 0)
        return
    if question:
        request = await with_camera(request, question, pictures=model.takes_pictures, blur_faces=False)
    async with aclosing(model.stream(request)) as pieces:
        async for piece in pieces:
            yield piece
