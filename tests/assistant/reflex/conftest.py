import pytest

from tests.assistant.reflex.house import House


@pytest.fixture
def house() -> House:
    return House().warmed("de", "fr", "es")
