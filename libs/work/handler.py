"""What a worker does with a claim."""

from typing import Protocol

from libs.work.outcome import Settling
from libs.work.report import Report
from semantik.operation.v1.operation_internal_service_pb2 import Claim


class Handler(Protocol):
    """The work itself. Every method may be cancelled at any moment and may be called again for the same claim."""

    async def run(self, claim: Claim, report: Report) -> None:
        """Do the work to its end.

        Raises WorkFailedError for a failure for good. After a transient error the worker waits, calls ``hand_back`` and then
        ``run`` again under the same lease; any other error counts as an attempt.
        """
        ...

    async def settle(self, claim: Claim, outcome: Settling, report: Report) -> None:
        """Bring counters and states up to date for how the work ended; runs inside the lease, before FinishOperation."""
        ...

    async def hand_back(self, claim: Claim, report: Report) -> None:
        """Take back the notes of what was in flight, so that nothing is blamed for the interruption. Best effort, one second."""
        ...
