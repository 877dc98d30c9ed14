"""A server in a process of its own, as `parley serve` starts it, but with quick engines. Prints its URL when ready."""

import asyncio
import sys
from contextlib import asynccontextmanager
from types import ModuleType

from tests.e2e.fakes import fake_engines


@asynccontextmanager
async def build(config, store):
    if "--broken" in sys.argv:
        raise RuntimeError("The model file is damaged.")
    try:
        yield fake_engines()
    finally:
        print("engines closed", flush=True)


if __name__ == "__main__":
    factory = ModuleType("assistant.factory")
    factory.build = build
    sys.modules["assistant.factory"] = factory
    from assistant.config import Config, load
    from assistant.server.app import serve

    Config.models = lambda _config: ()
    port = next((int(argument) for argument in sys.argv if argument.isdigit()), 0)
    asyncio.run(serve(load(port=port), None, lambda url: print(url, flush=True)))
    print("over", flush=True)
