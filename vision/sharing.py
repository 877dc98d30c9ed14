"""A picture as it may leave this machine."""

from vision.faces import blur
from vision.finders import Finders
from vision.frames import SIDE, decode, encode
from vision.types import Frame, PictureError


def as_jpeg(frame: Frame, finders: Finders, *, longest: int, blur_faces: bool) -> bytes:
    """Return `frame` as a JPEG, upright, its longer side at most `longest` pixels, without anything but its pixels.

    `blur_faces` makes all faces unrecognisable; they are looked for in more pixels than are sent. Raises PictureError,
    also where faces are to be blurred and nothing here finds them.
    """
    picture = decode(frame.data, side=max(SIDE, longest))
    if blur_faces:
        if finders.faces is None:
            raise PictureError("faces_unknown", 'Faces can\'t be blurred, since [vision] faces is "none".')
        picture = blur(picture, finders.faces().find(picture))
    return encode(picture, side=longest)
