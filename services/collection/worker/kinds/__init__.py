"""What the kinds of operations do, each in a file of its own. Every piece may be interrupted and done again."""

from collections.abc import Awaitable, Callable, Mapping

from semantik.operation.v1.operation_pb2 import Operation
from services.collection.worker.job import Job
from services.collection.worker.kinds import append, delete, purge, remove_source, sync

Run = Callable[[Job], Awaitable[None]]

KINDS: Mapping["Operation.Kind.ValueType", Run] = {
    Operation.KIND_INDEX: sync.run,
    Operation.KIND_SYNC: sync.run,
    Operation.KIND_APPEND: append.run,
    Operation.KIND_RETRY: append.run,
    Operation.KIND_PURGE: purge.run,
    Operation.KIND_REMOVE_SOURCE: remove_source.run,
    Operation.KIND_DELETE: delete.run,
}
