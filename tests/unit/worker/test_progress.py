"""Progress is counted once and never goes back, whatever happens to the claims."""

from hypothesis import given
from hypothesis import strategies as st

from semantik.operation.v1 import operation_pb2
from services.collection.worker.progress import Progress

_NAMES = ("documents_done", "documents_total", "documents_indexed", "documents_unchanged", "bytes_done", "chunks", "tokens", "phase")
_Step = tuple[str, int]
_steps = st.lists(st.tuples(st.sampled_from(["commit", "skip", "embed", "unchanged", "listed", "phase", "takeover"]), st.integers(0, 9)))


@given(steps=_steps)
def test_no_number_goes_back(steps: list[_Step]) -> None:
    """Over commits, listings and takeovers in any order, what is shown only rises, and what is done is within the total."""
    message, committed = operation_pb2.Progress(), {"indexed": 0, "skipped": 0, "tokens": 0, "size_bytes": 0}
    progress = Progress(message, committed)
    before = [0] * len(_NAMES)
    for step, amount in steps:
        match step:
            case "commit":
                amounts = {"indexed": amount, "tokens": 10 * amount, "size_bytes": 100 * amount}
                committed = {name: count + amounts.get(name, 0) for name, count in committed.items()}
                progress.committed(amounts)
            case "skip":
                committed["skipped"] += amount
                progress.committed({"skipped": amount})
            case "embed":
                progress.embedded(amount)
            case "unchanged":
                progress.unchanged(amount, amount)
            case "listed":
                progress.listed(amount, amount)
            case "phase":
                progress.enter(operation_pb2.Progress.Phase.Name(amount % 5) and amount % 5)  # type: ignore[arg-type]
            case "takeover":
                # The next claim starts from what was reported last and what was committed.
                reported = operation_pb2.Progress()
                reported.CopyFrom(message)
                message = reported
                progress = Progress(message, committed)
        after = [getattr(message, name) for name in _NAMES]
        assert all(new >= old for new, old in zip(after, before, strict=True))
        assert not message.documents_total or message.documents_done <= message.documents_total
        before = after


def test_a_takeover_counts_nothing_twice() -> None:
    """What the predecessor had committed is there once."""
    message = operation_pb2.Progress()
    Progress(message, {}).committed({"indexed": 3, "tokens": 30})
    Progress(message, {"indexed": 3, "tokens": 30}).committed({"indexed": 2, "tokens": 20})
    assert (message.documents_indexed, message.documents_done, message.tokens) == (5, 5, 50)


def test_a_long_document_moves_the_rate_before_its_commit() -> None:
    """Tokens count when they are embedded: nobody waits minutes for the first sign of life."""
    message = operation_pb2.Progress()
    progress = Progress(message, {})
    for _ in range(3):
        progress.embedded(1000)
    assert message.tokens == 3000
    assert message.tokens_per_second > 0
