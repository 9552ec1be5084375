"""``make abuse``: the tests that are marked ``abuse``. Their report goes to standard error; standard output gets one JSON line."""

import argparse
import contextlib
import sys

import pytest

from tests.abuse.tally import Tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="only count the cases of each row")
    arguments, rest = parser.parse_known_args()
    tally = Tally()
    with contextlib.redirect_stdout(sys.stderr):
        chosen = ["--collect-only", "-qq"] if arguments.list else ["--durations=15"]
        code = pytest.main(["-m", "abuse", *chosen, *rest], plugins=[tally])
    if arguments.list:
        sys.stdout.write(tally.listing())
        return int(code)
    sys.stdout.write(tally.line() + "\n")
    return int(code) or (0 if tally.has_passed else 1)


if __name__ == "__main__":
    sys.exit(main())
