"""The union: streams of several sources as one, before anything is grouped.

FlumeJava's `flatten` (PLDI 2010, section 2.2). It is no shuffle: a map task reads files of whatever source.
The watermark of what comes out is the minimum over the sources.
"""

from collections.abc import Sequence
from itertools import combinations

import polars as pl

from tidegate.branches import Branch
from tidegate.errors import PipelineError
from tidegate.pipeline import Stream
from tidegate.steps import Select


def union(*streams: Stream) -> Stream:
    """The rows of several streams as one stream.

    Each has a source of its own, with its own format, steps and watermark. The watermark of the union is the
    minimum over its sources; one of which nothing ever came holds it back, unless it is `Idle`, or `Perfect`
    and at its end.

    Args:
        streams: Two or more, none of them grouped. They have the same columns with the same types, in
            whatever order; the first one's order counts.

    Raises:
        PipelineError: Their columns differ, or two read the same files; one is grouped already.

    Example:
        >>> both = union(clicks.select("user", "at"), views.select("user", "at"))  # doctest: +SKIP
    """
    step = f"union({', '.join(map(_name, streams))})"
    if len(streams) < 2:
        raise PipelineError(step, "there is nothing to unite", "Give two or more streams.")
    for each in streams:
        _check_single(step, each)
    first = streams[0]
    branches: list[Branch] = []
    for each in streams:
        _check_schema(step, first, each)
        steps = each.steps
        if list(each.schema) != list(first.schema):
            steps = (*steps, Select(step, tuple(pl.col(name) for name in first.schema)))
        branches += [Branch(branch.source, (*branch.steps, *steps)) for branch in each.branches]
    _check_prefixes(step, branches)
    # In whatever order they are given the union is the same.
    return Stream(tuple(sorted(branches, key=lambda each: each.source.prefix)), first.schema)


def _name(stream: object) -> str:
    if not isinstance(stream, Stream):
        return repr(stream)
    return " and ".join(repr(each.source.prefix) for each in stream.branches)


def _check_single(step: str, stream: Stream) -> None:
    if not isinstance(stream, Stream):
        raise PipelineError(step, f"{stream!r} is no stream", "Give streams, as read_json gives them.")
    if stream.shuffles or stream.windowing is not None:
        what = "grouped already" if stream.shuffles else "windowed already"
        raise PipelineError(
            step,
            f"{_name(stream)} is {what}",
            "Unite the streams before .window(...): it holds for all of them together.",
        )


def _check_schema(step: str, first: Stream, other: Stream) -> None:
    differences = [
        f"{name} is {_type(first, name)} in {_name(first)} and {_type(other, name)} in {_name(other)}"
        for name in {**first.schema, **other.schema}
        if first.schema.get(name) != other.schema.get(name)
    ]
    if differences:
        raise PipelineError(
            step,
            f"the columns differ: {'; '.join(differences)}",
            "Make them equal before, with .select(...) or with .with_columns(pl.col('x').cast(pl.Int64)).",
        )


def _type(stream: Stream, name: str) -> str:
    return str(stream.schema[name]) if name in stream.schema else "missing"


def _check_prefixes(step: str, branches: Sequence[Branch]) -> None:
    for one, other in combinations((each.source.prefix for each in branches), 2):
        if f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/"):
            raise PipelineError(
                step,
                f"{one!r} and {other!r} have files in common, and each file belongs to one source",
                "Give each source a folder of its own; to use a stream twice, give its rows twice with "
                ".flat_map(...).",
            )
