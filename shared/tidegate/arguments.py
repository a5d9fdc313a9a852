"""Arguments: a call that leaves some out is refused as any other mistake in a pipeline is."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, ParamSpec, TypeVar

from tidegate.errors import PipelineError

P = ParamSpec("P")
T = TypeVar("T")


def called_as(example: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Makes a call that Python would refuse with a `TypeError` a `PipelineError` that shows how to call it.

    Args:
        example: A call with all that is needed.

    Returns:
        A decorator. An error that comes from within the function stays what it is.

    Example:
        >>> @called_as("half(4)")
        ... def half(number: float) -> float:
        ...     return number / 2
        >>> half()
        Traceback (most recent call last):
        tidegate.errors.PipelineError: half: number is missing. Call it as half(4).
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        shape = signature(function)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            problem = _problem(shape, args, kwargs)
            if problem:
                raise PipelineError(function.__name__, problem, f"Call it as {example}.")
            return function(*args, **kwargs)

        return call

    return decorate


def takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with so many values; of some built-in ones nobody knows, and yes."""
    try:
        shape = signature(function)
    except ValueError:
        return True
    return not _problem(shape, (None,) * count, {})


def _problem(shape: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Why a call is none; empty if it is one."""
    try:
        given = shape.bind_partial(*args, **kwargs).arguments
    except TypeError as error:
        return str(error)
    anything = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    missing = [
        name
        for name, each in shape.parameters.items()
        if each.default is Parameter.empty and each.kind not in anything and name not in given
    ]
    return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing" if missing else ""
