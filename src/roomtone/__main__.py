"""The `roomtone` command, also as `python -m roomtone`."""

import gc

from roomtone.app.began import BEGAN

__all__ = ["BEGAN", "main"]


def main() -> None:
    """Load the program, then run it."""
    # Modules leave hardly any cycles, and looking for them takes a quarter of the time to load them.
    gc.disable()
    from roomtone.app.main import main as command  # noqa: PLC0415 - as late as that

    command()


if __name__ == "__main__":
    main()
