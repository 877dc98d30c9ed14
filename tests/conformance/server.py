"""`parley serve` with its real models, in a process of its own, on a free port."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def serving() -> Iterator[str]:
    """Run the server; yields its address, such as http://127.0.0.1:40123."""
    command = [sys.executable, "-m", "assistant", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = next((line for line in process.stdout if line.startswith("Parley is ready")), "")
            address = re.search(r"http://[^\s/]+", ready)
            assert address, "The server did not start."
            yield address[0]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
