"""`python -m tests.faults [PORT]`: a stand-in for a cloud API that echoes, until its input ends; prints its URL."""

import sys

from tests.faults.cloud import Cloud, echo

if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with Cloud(echo, port=port) as cloud:
        print(cloud.url, flush=True)
        sys.stdin.read()
