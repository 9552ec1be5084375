"""semantik eval ...: how well documents are found."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from semantik.command.context import (
    DEFAULT_ADDRESS,
    AddressOption,
    IdsOption,
    JsonOption,
    client,
    err,
    escape,
    out,
    plain,
    print_json,
    run,
    table,
)
from semantik.command.evaluating import judging
from semantik.command.evaluating.finding import evaluation_named, set_named
from semantik.command.evaluating.judging import CollectionOption
from semantik.command.finding import collection_named
from semantik.command.quick import Commands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semantik.client import Client
    from semantik.search.v1.evaluation_pb2 import Evaluation, Metric
    from semantik.search.v1.evaluation_service_pb2 import CompareEvaluationsResponse

app = Commands(no_args_is_help=True, help="Measure how well documents are found, by judged queries.")
app.add_typer(judging.app, name="judged")
_SHORT = 8  # characters of an id that tell evaluations apart
_MISSED = 1
Id = Annotated[str, typer.Argument(metavar="EVALUATION", help="The evaluation's id, or its first characters and -c.")]
NamingOption = Annotated[str, typer.Option("--collection", "-c", help="The collection, where ids are cut.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Write a picture too, as SVG.")]


def _measure(text: str) -> str:
    from semantik.command.evaluating.report import is_measure

    if not is_measure(text):
        raise typer.BadParameter("write ndcg, mrr, recall or precision, @ and a number, such as ndcg@10")
    return text


MetricOption = Annotated[str, typer.Option("--metric", help="The measure that --at-least and queries are about.", callback=_measure)]


@app.command("run")
def run_evaluation(
    judged_set: Annotated[str, typer.Argument(metavar="SET", help="The judged set, by name or id.")],
    collection: CollectionOption,
    configurations: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="SETTINGS",
            help="A configuration, such as `mode=keyword` or `rerank generation=2`; of several, each is compared with the first.",
        ),
    ] = None,
    cutoff: Annotated[list[int] | None, typer.Option(min=1, max=100, help="How many documents to look at; 10 and 100 by default.")] = None,
    name: Annotated[str, typer.Option(help="What to call it.")] = "",
    metric: MetricOption = "ndcg@10",
    at_least: Annotated[float | None, typer.Option(min=0, max=1, help="Exit with 1 where the measure is below.")] = None,
    plot: PlotOption = None,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Answer the queries of a set, and print what was measured. Ctrl-C stops watching, not the work."""
    from semantik.command.evaluating.configurations import parsed

    try:
        chosen = [parsed(text) for text in configurations or [""]]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--with") from None

    async def work() -> int:
        evaluations = []
        async with client(address) as semantik:
            queries = await set_named(semantik, judged_set, collection)
            for search, generation in chosen:
                evaluation, operation = await semantik.evaluations.start(
                    queries.id, search, name=name, cutoffs=cutoff or (), generation=generation
                )
                if code := await _code(semantik, operation.id, as_json=as_json):
                    return code
                evaluations.append(await semantik.evaluations.get(evaluation.id))
            others = [await semantik.evaluations.compare(each.id, evaluations[0].id, _metric(metric)) for each in evaluations[1:]]
        _print(evaluations, others, metric, plot, as_json=as_json)
        return _gate(evaluations, metric, at_least)

    run(work())


@app.command("list")
def list_evaluations(
    collection: CollectionOption, ids: IdsOption = False, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False
) -> None:
    """List your evaluations of a collection, newest first."""

    async def work() -> None:
        async with client(address) as semantik:
            collection_id = (await collection_named(semantik, collection)).id
            evaluations = [each async for each in semantik.evaluations.list(collection_id)]
        if as_json:
            print_json(list(evaluations))
            return
        from semantik.command.evaluating.report import label, measure_name, started

        rows = table("EVALUATION", "WITH", "SET", "MEASURED", "STARTED", *(("ID",) if ids else ()))
        for each in evaluations:
            first = f"{measure_name(each.measurements[0])} {each.measurements[0].value:.3f}" if each.measurements else ""
            rows.add_row(each.id[:_SHORT], escape(label(each)), escape(each.judged_set_name), first, started(each), each.id)
        out.print(rows if evaluations else "No evaluations. Start one with `semantik eval run SET -c NAME`.")

    run(work())


@app.command()
def show(
    evaluation: Id,
    collection: NamingOption = "",
    queries: Annotated[bool, typer.Option("--queries", help="Print each query, the worst first.")] = False,
    metric: MetricOption = "ndcg@10",
    at_least: Annotated[float | None, typer.Option(min=0, max=1, help="Exit with 1 where the measure is below.")] = None,
    plot: PlotOption = None,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Show what an evaluation measured."""
    from semantik.command.evaluating.report import print_queries

    async def work() -> int:
        async with client(address) as semantik:
            found = await semantik.evaluations.get(await evaluation_named(semantik, evaluation, collection))
            if not found.measurements and (code := await _code(semantik, found.operation_id, as_json=as_json)):
                return code
            found = await semantik.evaluations.get(found.id)
            answers = [each async for each in semantik.evaluations.answers(found.id)] if queries else []
        if as_json and queries:
            print_json({"evaluation": plain(found), "queries": plain(answers)})
        else:
            _print([found], [], metric, plot, as_json=as_json)
            print_queries(answers)
        return _gate([found], metric, at_least)

    run(work())


@app.command()
def compare(
    evaluation: Id,
    baseline: Annotated[str, typer.Argument(metavar="BASELINE", help="The evaluation to compare it with.")],
    collection: NamingOption = "",
    metric: MetricOption = "ndcg@10",
    no_worse: Annotated[bool, typer.Option("--no-worse", help="Exit with 1 where the measure is worse, beyond chance.")] = False,
    plot: PlotOption = None,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Compare two evaluations query by query: of two configurations, or before and after a change of the index."""
    from semantik.command.evaluating.report import measure_name

    async def work() -> int:
        async with client(address) as semantik:
            ids = [await evaluation_named(semantik, each, collection) for each in (evaluation, baseline)]
            answer = await semantik.evaluations.compare(ids[0], ids[1], _metric(metric))
            both = [await semantik.evaluations.get(each) for each in ids]
        _print(both, [answer], metric, plot, as_json=as_json)
        worse = next((each for each in answer.differences if measure_name(each) == metric and each.high < 0), None)
        if no_worse and worse is not None:
            err.print(f"[red]{metric} is worse by {-worse.difference:.3f} ({-worse.high:.3f} to {-worse.low:.3f}).[/]")
            return _MISSED
        return 0

    run(work())


@app.command()
def delete(evaluation: Id, collection: NamingOption = "", address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Delete an evaluation; one that is at work ends."""

    async def work() -> None:
        async with client(address) as semantik:
            found = await semantik.evaluations.get(await evaluation_named(semantik, evaluation, collection))
            await semantik.evaluations.delete(found.id)
        print_json(found) if as_json else out.print(f"Deleted {found.id}.")

    run(work())


async def _code(semantik: "Client", operation_id: str, *, as_json: bool) -> int:
    """Wait for the end of an operation, and return the exit code; with JSON only what was measured is printed."""
    from semantik.command.watching import follow
    from semantik.operation.v1.operation_pb2 import Operation

    if not as_json:
        return await follow(semantik, operation_id)
    operation = await semantik.operations.wait(operation_id)
    if operation.state == Operation.STATE_SUCCEEDED:
        return 0
    err.print(f"[red]error:[/] {escape(operation.error.message or 'the evaluation was cancelled')}")
    return 1


def _metric(measure: str) -> "Metric.ValueType":
    from semantik.command.evaluating.report import NAMES

    return next(metric for metric, name in NAMES.items() if name == measure.partition("@")[0])


def _print(
    evaluations: "Sequence[Evaluation]",
    comparisons: "Sequence[CompareEvaluationsResponse]",
    metric: str,
    plot: Path | None,
    *,
    as_json: bool,
) -> None:
    """Print evaluations side by side, and each comparison with the first; write the picture of the last comparison."""
    from semantik.command.evaluating.report import print_comparison, print_evaluations

    if plot is not None:
        from semantik.command.evaluating.plot import svg

        plot.write_text(svg(evaluations, comparisons[-1].queries if comparisons else (), metric))
    if as_json:
        print_json({"evaluations": plain(list(evaluations)), "comparisons": plain(list(comparisons))})
        return
    print_evaluations(evaluations)
    for answer in comparisons:
        out.print()
        print_comparison(answer, metric)


def _gate(evaluations: "Sequence[Evaluation]", metric: str, at_least: float | None) -> int:
    """Return 1 where a measure is below what it must be, or was not measured."""
    from semantik.command.evaluating.report import label, value_of

    if at_least is None:
        return 0
    missed = [each for each in evaluations if (value := value_of(each, metric)) is None or value < at_least]
    for each in missed:
        err.print(f"[red]{escape(label(each))}: {metric} is {value_of(each, metric) or 0:.3f}, below {at_least:g}.[/]")
    return _MISSED if missed else 0
