"""Counts what the tests marked ``abuse`` show: a plugin of pytest."""

import json
from collections import Counter, defaultdict
from typing import Any

import pytest

from tests.abuse.rows import ABSENT, ROWS


class Tally:
    """Rows, cases, failures, and the numbers that tests report with ``record_property``."""

    def __init__(self) -> None:
        self.cases: Counter[int] = Counter()
        self.failed: set[str] = set()
        self.known_faults: set[str] = set()
        self._rows_of: dict[str, tuple[int, ...]] = {}
        self._ran: set[str] = set()
        self._sums: defaultdict[str, int] = defaultdict(int)
        self._flood_ratios: defaultdict[str, list[float]] = defaultdict(list)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        rows = rows_of(item)
        if rows:
            self._rows_of[item.nodeid] = rows
            self.cases.update(rows)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)
        if report.when != "call":
            return
        if hasattr(report, "wasxfail"):
            self.known_faults.add(report.nodeid)
        elif not report.skipped:
            self._ran.add(report.nodeid)
        for name, value in report.user_properties:
            self._count(report.nodeid, name, value)

    def _count(self, nodeid: str, name: str, value: Any) -> None:
        if name == "flood_p99_ratio":
            self._flood_ratios[nodeid].append(float(value))
        else:
            self._sums[name] += int(value)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say which floods were felt most."""
        for nodeid, ratios in sorted(self._flood_ratios.items(), key=lambda entry: -max(entry[1])):
            terminalreporter.write_line(f"p99 under flood, times idle: {' '.join(f'{ratio:5.2f}' for ratio in ratios)}  {nodeid}")

    @property
    def missing(self) -> list[int]:
        """The rows that must be shown and have no case."""
        return [row for row in ROWS if row not in ABSENT and not self.cases[row]]

    @property
    def has_passed(self) -> bool:
        return bool(self._ran) and not (self.failed or self.missing or self._sums["leaks"])

    def line(self) -> str:
        """Return the result as one JSON line."""
        return json.dumps(
            {
                "name": "abuse",
                "rows": len({row for nodeid in self._ran for row in self._rows_of.get(nodeid, ())}),
                "variants": len(self._ran) + self._sums["variants"],
                "failed": len(self.failed),
                "known_faults": len(self.known_faults),
                "missing": self.missing,
                "cross_tenant_probes": self._sums["cross_tenant_probes"],
                "leaks": self._sums["leaks"],
                "flood_p99_ratio": max((max(ratios) for ratios in self._flood_ratios.values()), default=None),
            }
        )

    def listing(self) -> str:
        """Return each row with the number of its cases."""
        return "".join(f"{row:3} {self.cases[row] or ABSENT.get(row, 'NO TEST'):>4}  {title}\n" for row, title in ROWS.items())


def rows_of(item: pytest.Item) -> tuple[int, ...]:
    """Return the rows that a test names; raises UsageError for one that is not in the table."""
    rows = {row for mark in item.iter_markers("abuse") for row in mark.args}
    if unknown := rows - ROWS.keys():
        raise pytest.UsageError(f"{item.nodeid} shows no row of the table: {sorted(map(str, unknown))}")
    return tuple(sorted(rows))
