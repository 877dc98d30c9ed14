"""The program `parley`, also `python -m assistant`."""

from assistant.cpu import share_machine


def main() -> None:
    """Do what the command line says."""
    share_machine()
    # Not before: NumPy, for one, makes its threads when it is loaded, and asks the environment how many.
    from assistant import cli  # noqa: PLC0415

    cli.main(prog_name="parley")


if __name__ == "__main__":
    main()
