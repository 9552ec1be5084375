"""Takes operations back from workers that fell silent."""

import asyncio
import logging

from grpc import StatusCode

from libs.db.engine import Sessions
from libs.rpc.bell import Bell
from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.operation import store
from services.operation.settings import Settings
from services.operation.shapes import error_row

log = logging.getLogger(__name__)


async def sweep(settings: Settings, sessions: Sessions, bell: Bell) -> None:
    """Sweep expired leases for ever, every few seconds, by the database's clock."""
    exhausted = error_row(
        Failure(
            StatusCode.ABORTED,
            ErrorReason.ERROR_REASON_ATTEMPTS_EXHAUSTED,
            f"no progress in {settings.max_attempts} attempts",
            {"attempts": str(settings.max_attempts)},
        ).proto()
    )
    while True:
        try:
            async with sessions.begin() as session:
                expired = await store.sweep(session, settings.max_attempts, exhausted)
            for operation in expired:
                log.warning("operation %s: its worker fell silent (attempt %d)", operation.id, operation.attempt)
            for queue in {operation.queue for operation in expired}:
                await bell.ring(queue)
        except Exception as error:  # noqa: BLE001 - the next round tries again
            log.warning("cannot sweep leases: %s", type(error).__name__)
        await asyncio.sleep(settings.sweep_seconds)
