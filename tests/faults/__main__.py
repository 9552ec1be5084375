"""``make faults``: every case, or those chosen; with ``--minutes`` steps and faults at random. Ends with one JSON line."""

import argparse
import asyncio
import importlib
import signal
import sys
import time

from tests.faults.chaos.run import chaos
from tests.faults.runner import CASES, Settings, line, run

_MODULES = ("workers", "cancelling", "deleting", "uploads", "stores", "services", "machine", "fairness", "metadata")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="numbers or words of names, separated by commas")
    parser.add_argument("--quick", action="store_true", help="a selection of less than five minutes")
    parser.add_argument("--list", action="store_true", help="name the cases")
    parser.add_argument("--patience", type=float, default=1.0, help="how much slower than its limits this machine may be")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=0.0, help="run at random for so long instead")
    return parser.parse_args()


def _stop_in_good_order() -> None:
    """Let SIGTERM and SIGINT take the meshes down before this process ends."""
    task = asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, lambda: task and task.cancel())


async def main() -> bool:
    arguments = _arguments()
    _stop_in_good_order()
    for name in _MODULES:
        importlib.import_module(f"tests.faults.cases.{name}")
    wanted = [part.strip().lower() for part in arguments.only.split(",") if part.strip()]
    chosen = [
        each
        for each in CASES
        if (not wanted or any(part == each.number.lower() or (len(part) > 4 and part in each.name.lower()) for part in wanted))
        and (each.is_quick or not arguments.quick or wanted)
    ]
    if arguments.list:
        sys.stdout.writelines(f"{each.number:6} {'quick' if each.is_quick else '     '} {each.mesh:7} {each.name}\n" for each in chosen)
        return True
    started = time.monotonic()
    if arguments.minutes:
        results = await chaos(arguments.seed, arguments.minutes)
        sys.stdout.write(line("faults", results, seed=arguments.seed, minutes=arguments.minutes) + "\n")
        return all(result.has_passed for result in results)
    results = await run(chosen, Settings(arguments.quick, arguments.patience, arguments.seed))
    sys.stdout.write(line("faults", results, seconds=round(time.monotonic() - started)) + "\n")
    return all(result.has_passed for result in results)


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(main()) else 1)
