"""`parley serve …` itself, but with quick engines and no model to fetch."""

import sys
from contextlib import asynccontextmanager
from types import ModuleType

from assistant import cli
from assistant.config import Config
from tests.e2e.fakes import fake_engines


@asynccontextmanager
async def build(config, store):
    yield fake_engines()


if __name__ == "__main__":
    factory = ModuleType("assistant.factory")
    factory.build = build
    sys.modules["assistant.factory"] = factory
    Config.models = lambda _config: ()
    cli.main(["serve", "--port", "0", *sys.argv[1:]])
