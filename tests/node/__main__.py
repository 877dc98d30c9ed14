"""Installs what the tests take from npm: `python -m tests.node`."""

import subprocess
import sys

from tests.node import install

try:
    install()
except FileNotFoundError:
    print("Install Node.js 20 or later with npm for all tests: the tests that need it will say so.")
except subprocess.CalledProcessError as error:
    sys.exit(f"npm could not install the tests' packages (exit code {error.returncode}). Is the registry in reach?")
