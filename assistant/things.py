"""What people call the things that a camera's detector knows."""

import re
from collections.abc import Collection
from typing import Final

from vision.types import PERSON
from vision.wording import PLURALS

_SAME: Final = {
    "mug": "cup",
    "teacup": "cup",
    "coffee cup": "cup",
    "sofa": "couch",
    "settee": "couch",
    "television": "tv",
    "phone": "cell phone",
    "mobile": "cell phone",
    "mobile phone": "cell phone",
    "smartphone": "cell phone",
    "iphone": "cell phone",
    "table": "dining table",
    "plant": "potted plant",
    "flower pot": "potted plant",
    "bike": "bicycle",
    "motorbike": "motorcycle",
    "plane": "airplane",
    "aeroplane": "airplane",
    "lorry": "truck",
    "van": "truck",
    "kitten": "cat",
    "puppy": "dog",
    "fridge": "refrigerator",
    "ball": "sports ball",
    "glass": "wine glass",
    "bag": "handbag",
    "rucksack": "backpack",
    "remote control": "remote",
    "computer": "laptop",
    "notebook": "laptop",
    "teddy": "teddy bear",
    "doughnut": "donut",
}
"""Other words for the detector's."""
PEOPLE: Final = frozenset(
    "someone somebody anyone anybody person people man woman child kid boy girl visitor guest mailman postman".split()
)
"""Words for anybody."""
_SINGULAR: Final = {plural: label for label, plural in PLURALS.items()}
_DETERMINER: Final = re.compile(
    r"(?:(?:a|an|the|any|some|another|my|your|our|his|her|this|that|more) )+", re.IGNORECASE
)


def noun_of(said: str) -> str:
    """Return "cup" for "my cup": what is meant, without whose or which it is."""
    return _DETERMINER.sub("", said.strip().casefold()).strip()


def label_of(noun: str, labels: Collection[str]) -> str | None:
    """Return what the detector calls it; None where it doesn't know such a thing."""
    if noun in PEOPLE:
        return PERSON
    last = noun.rpartition(" ")[2]
    for each in (noun, last):
        for one in (each, each.removesuffix("s"), each.removesuffix("es"), _SINGULAR.get(each, each)):
            name = _SAME.get(one, one)
            if name in labels:
                return name
    return None
