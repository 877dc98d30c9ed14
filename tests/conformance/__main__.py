"""`python -m tests.conformance [--write] [CLIENT…]`: hold the conversations, print the matrix."""

import argparse

from tests.conformance import matrix
from tests.conformance.clients import CLIENTS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("clients", nargs="*", help=", ".join(client.name for client in CLIENTS))
    parser.add_argument("--write", action="store_true", help="put the columns into the README")
    options = parser.parse_args()
    columns = matrix.measure(c for c in CLIENTS if not options.clients or c.name in options.clients)
    print(matrix.table(columns))
    if options.write:
        matrix.write(columns)


if __name__ == "__main__":
    main()
