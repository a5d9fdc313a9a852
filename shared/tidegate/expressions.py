"""Expressions over frames, row by row: checked when a pipeline is built, and evaluated without losing a row.

Which rows share a batch is chance, so an expression may look at no other row than its own. Where one fails
on a row at run time, that row leaves as `Rejected` and the others go on.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from difflib import get_close_matches

import polars as pl

from tidegate.errors import PipelineError
from tidegate.limits import REJECTED_ONE_BY_ONE

HIDDEN = "__"
"""How the names of the columns begin that the system adds and users do not see."""

FAILURES = (Exception, pl.exceptions.PanicException)
"""What an expression may raise: Polars' own errors, those of a Python function in it, a panic of Polars."""

Schema = Mapping[str, pl.DataType]


@dataclass(frozen=True)
class Rejected:
    """Rows that a step failed on, as they were before it, and why each was rejected."""

    rows: pl.DataFrame
    reasons: tuple[str, ...]


@dataclass
class Outcome:
    """A frame after a step, and what the step rejected."""

    frame: pl.DataFrame
    rejected: list[Rejected] = field(default_factory=list)


def hidden(names: Iterable[str]) -> list[str]:
    """The names of hidden columns among these."""
    return [name for name in names if name.startswith(HIDDEN)]


def expressions_of(
    label: str, positional: Sequence[str | pl.Expr], named: Mapping[str, str | pl.Expr]
) -> tuple[pl.Expr, ...]:
    """Columns' names and expressions, as a user gives them, as expressions.

    Raises:
        PipelineError: One of them is neither.
    """
    for each in (*positional, *named.values()):
        if not isinstance(each, str | pl.Expr):
            mend = "Give an expression, such as pl.col('score') * 2 or pl.lit(1)."
            if isinstance(each, list):
                mend = f"Give them one by one: {', '.join(map(repr, each))}."
            raise PipelineError(label, f"{each!r} does not fit here", mend)
    columns = [pl.col(each) if isinstance(each, str) else each for each in (*positional, *named.values())]
    count = len(positional)
    return (*columns[:count], *(each.alias(name) for name, each in zip(named, columns[count:], strict=True)))


def check_expression(label: str, expression: pl.Expr, schema: Schema) -> dict[str, pl.DataType]:
    """The columns that a row-by-row expression gives on this schema.

    Raises:
        PipelineError: It names an unknown column, its types do not fit, or it looks at other rows.
    """
    try:
        result = pl.LazyFrame(schema=dict(schema)).select(expression).collect_schema()
    except pl.exceptions.ColumnNotFoundError as error:
        raise unknown_column(label, _missing(expression, schema, error), schema) from None
    except pl.exceptions.PolarsError as error:
        raise PipelineError(
            label,
            f"{expression} cannot work: {first_line(error)}",
            f"The columns here are {_columns(schema)}.",
        ) from None
    if expression.meta.has_multiple_outputs():
        raise PipelineError(
            label, f"{expression} stands for several columns", "Write each column by its name."
        )
    if not _is_row_by_row(expression):
        raise PipelineError(
            label,
            f"{expression} looks at other rows than its own, and which rows share a batch is chance",
            "Use .window(...).group_by(...).agg(...) for anything that combines rows.",
        )
    try:
        # What fails without any row, such as a constant that cannot be cast, fails on every row.
        pl.DataFrame(schema=dict(schema)).with_columns(expression)
    except FAILURES as error:
        raise PipelineError(
            label, f"{expression} fails on every row: {first_line(error)}", "Mend the expression."
        ) from None
    return dict(result)


def describe_expression(expression: pl.Expr) -> str:
    """An expression as Polars prints it, with a digest of what it does not print, such as `round`'s digits.

    What a Python function inside of it does is not part of it.
    """
    printed = str(expression)
    if expression.meta.is_column() or "python_udf" in printed:
        return printed
    exact = expression.meta.serialize(format="json")
    return f"{printed} #{hashlib.blake2b(exact.encode(), digest_size=4).hexdigest()}"


def _is_row_by_row(expression: pl.Expr) -> bool:
    if not all(_looks_at_its_row(part) for part in _parts(expression)):
        return False
    try:
        return expression.meta.is_scalar() or expression.meta.is_length_preserving()
    except pl.exceptions.ColumnNotFoundError:
        return True


def _parts(expression: pl.Expr) -> list[pl.Expr]:
    """An expression and all that it is made of: Polars' own question asks about its outermost part only."""
    return [expression, *(part for each in expression.meta.pop() for part in _parts(each))]


def _looks_at_its_row(part: pl.Expr) -> bool:
    if part.meta.eq(pl.len()):
        return False
    try:
        # What names no column is a constant, or works inside of one row's list.
        return not part.meta.root_names() or part.meta.is_row_separable()
    except pl.exceptions.ColumnNotFoundError:
        # Polars cannot tell for Python functions over columns (map_elements): the user vouches for those.
        return True


def unknown_column(label: str, name: str, schema: Schema) -> PipelineError:
    """The error for a column that is not there."""
    close = get_close_matches(name, [each for each in schema if not each.startswith(HIDDEN)], n=1)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    mend = f"{meant}The columns here are {_columns(schema)}."
    return PipelineError(label, f"there is no column {name!r}", mend)


_QUOTED = re.compile(r'"([^"]+)"')


def _missing(expression: pl.Expr, schema: Schema, error: pl.exceptions.ColumnNotFoundError) -> str:
    """The column that an expression names and that is not there."""
    for name in expression.meta.root_names():
        if name not in schema:
            return name
    # Of a selection of several columns Polars does not tell the names, except in its message.
    quoted = _QUOTED.search(str(error))
    return quoted[1] if quoted else first_line(error)


def _columns(schema: Schema) -> str:
    return ", ".join(f"{name} ({dtype})" for name, dtype in schema.items() if not name.startswith(HIDDEN))


_found_at_most = ContextVar("found_at_most", default=REJECTED_ONE_BY_ONE)


@contextmanager
def finding(at_most: int) -> Iterator[None]:
    """Within it `row_by_row` finds only so many rows one by one, as others of the file were found before."""
    token = _found_at_most.set(at_most)
    try:
        yield
    finally:
        _found_at_most.reset(token)


def row_by_row(frame: pl.DataFrame, work: Callable[[pl.DataFrame], pl.DataFrame]) -> Outcome:
    """`work(frame)`; where it fails, the rows that it fails on are found by halving and rejected.

    Finding a row takes a fraction of a millisecond. So that a file in which all of them fail, such as one in
    a new format, still ends within a function's time, only so many are found; from then on a part that holds
    another one is rejected as a whole, good rows included.
    """
    rejected: list[Rejected] = []
    found_at_most = _found_at_most.get()

    def halve(part: pl.DataFrame) -> pl.DataFrame:
        try:
            return work(part)
        except FAILURES as error:
            if part.height == 0 or isinstance(error, MemoryError):
                raise
            reason = first_line(error)
        if part.height > 1 and len(rejected) < found_at_most:
            half = part.height // 2
            return pl.concat([halve(part[:half]), halve(part[half:])])
        if part.height > 1:
            reason = f"not tried by itself, as {found_at_most:,} other rows had failed before: {reason}"
        rejected.append(Rejected(part, (reason,) * part.height))
        return work(part.clear())

    return Outcome(halve(frame), rejected)


def first_line(error: BaseException) -> str:
    """What an error says first; Polars adds paragraphs of advice behind it."""
    return str(error).split("\n", maxsplit=1)[0]
