"""`dataserver`, and `python -m dataserver`."""

from __future__ import annotations

from dataserver.cli.root import root


def main() -> None:
    """Run the command line and leave with its exit code: 0, 1 (failed) or 2 (wrong use)."""
    root(prog_name="dataserver")


if __name__ == "__main__":
    main()
