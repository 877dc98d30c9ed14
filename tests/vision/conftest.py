from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vision.detect.yolox import Yolox
from vision.faces import FaceFinder


@pytest.fixture(scope="session")
def yolox(model_path: Callable[[str], Path]) -> Iterator[Yolox]:
    finder = Yolox(model_path("yolox-nano"))
    yield finder
    finder.close()


@pytest.fixture(scope="session")
def faces(model_path: Callable[[str], Path]) -> Iterator[FaceFinder]:
    finder = FaceFinder(model_path("mediapipe-faces"))
    yield finder
    finder.close()
