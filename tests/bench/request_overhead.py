"""`python -m tests.bench.request_overhead`: what the router adds to a program's request.

The same backend, a stand-in in a process of its own, is asked directly and through a server, in turns, one request at
a time. The target is 5 ms at the 95th percentile, to the first token and to the end.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from openai import OpenAI

_REQUESTS: Final = 300
_WARM: Final = 30
TARGET_MS: Final = 5.0


def request_ms(client: OpenAI, model: str, number: int) -> tuple[float, float]:
    """Return the time to the first word and to the end."""
    began, first = time.perf_counter(), 0.0
    messages = [{"role": "user", "content": f"Say again, word by word, what stands here, which is number {number}"}]
    for chunk in client.chat.completions.create(model=model, messages=messages, stream=True):
        if not first and chunk.choices and chunk.choices[0].delta.content:
            first = time.perf_counter() - began
    return first * 1000, (time.perf_counter() - began) * 1000


def started(*command: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, "-m", *command], stdin=-1, stdout=-1, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def measure() -> float:
    """Print the figures, and return what is added (ms) at the 95th percentile of the whole."""
    times: dict[str, list[tuple[float, float]]] = {"directly": [], "through the router": []}
    with tempfile.TemporaryDirectory() as folder:
        cloud, url = started("tests.faults")
        file = Path(folder) / "my.toml"
        file.write_text(
            f'[[backends]]\nname = "gpt"\nurl = "{url}"\nmodel = "stand-in"\nplace = "cloud"\nquality = 1.0\n'
        )
        server, address = started("tests.e2e.routing", str(file))
        try:
            direct = OpenAI(base_url=url, api_key="none", max_retries=0)
            through = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
            for number in range(_WARM + _REQUESTS):
                for name, client in (("directly", direct), ("through the router", through)):
                    taken = request_ms(client, "parley/best", number)
                    if number >= _WARM:
                        times[name].append(taken)
        finally:
            for process in (server, cloud):
                process.communicate()
    p95: dict[str, tuple[float, float]] = {}
    for name, taken in times.items():
        firsts, wholes = [first for first, _ in taken], [whole for _, whole in taken]
        p95[name] = (quantiles(firsts, n=20)[-1], quantiles(wholes, n=20)[-1])
        print(
            f"{name:20} first token p50 {median(firsts):6.2f} p95 {p95[name][0]:6.2f} ms, "
            f"whole p50 {median(wholes):6.2f} p95 {p95[name][1]:6.2f} ms"
        )
    first, whole = (p95["through the router"][at] - p95["directly"][at] for at in (0, 1))
    added = [[b[at] - a[at] for a, b in zip(*times.values(), strict=True)] for at in (0, 1)]
    print(f"Pairs differ by p50 {median(added[0]):.2f} ms to the first token, {median(added[1]):.2f} ms to the end.")
    print(f"The router adds {first:.2f} ms to the first token, {whole:.2f} ms to the end (p95; target {TARGET_MS}).")
    return max(first, whole)


if __name__ == "__main__":
    sys.exit(measure() > TARGET_MS)
