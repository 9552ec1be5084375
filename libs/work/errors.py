"""What work raises to say how it ends."""

from google.rpc import status_pb2


class WorkFailedError(Exception):
    """The work has failed for good; ``status`` becomes the operation's error. A repeat would fail in the same way."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


class FencedError(Exception):
    """A newer claim has written its fence; this claim must stop and touch nothing."""
