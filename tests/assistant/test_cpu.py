import gc
import os
import subprocess
import sys

import pytest

from assistant.cpu import loading, share_machine


def test_what_was_loaded_is_never_searched_for_garbage() -> None:
    before = gc.get_freeze_count()
    with loading() as done:
        assert not gc.isenabled()
        done()
        assert gc.isenabled(), "what comes after it is"
        assert gc.get_freeze_count() > before
    gc.unfreeze()


def test_garbage_is_searched_for_again_when_loading_failed() -> None:
    with pytest.raises(RuntimeError), loading():
        raise RuntimeError
    assert gc.isenabled()


def test_threads_sleep_while_they_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "")
    monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setenv("GOMP_SPINCOUNT", "")
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    share_machine()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert os.environ["GOMP_SPINCOUNT"] == "1000", "after a moment, in which most of what is waited for has come"
    assert os.environ["OPENBLAS_NUM_THREADS"] == "2", "the owner's word counts"


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_no_library_gets_threads_of_its_own_before_the_program_says_how_many() -> None:
    code = (
        "import os, sys\n"
        "from assistant.__main__ import main\n"
        "sys.argv = ['parley', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "import numpy as np\n"
        "np.ones((500, 500), np.float32) @ np.ones((500, 500), np.float32)\n"
        "sys.stderr.write(str(len(os.listdir('/proc/self/task'))))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: parley")
    assert done.stderr == "1"
