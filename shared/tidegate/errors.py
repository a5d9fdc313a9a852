"""The exceptions of Tidegate: each message says what happened, where, and how to mend it."""


class TidegateError(Exception):
    """Whatever Tidegate refuses or cannot do; its message is written for the user."""


class PipelineError(TidegateError):
    """A pipeline that cannot work, found while it is built."""

    def __init__(self, step: str, problem: str, mend: str) -> None:
        """Names the step, what is wrong with it, and the mend."""
        super().__init__(f"{step}: {problem}. {mend}")
        self.step = step
        self.problem = problem
        self.mend = mend


class UsageError(TidegateError):
    """A wrong path, an unknown pipeline, a setting out of its range: the caller's to mend."""


class IncompatiblePipeline(TidegateError):
    """The stored state was written by a pipeline whose state has another layout or meaning."""


class CorruptObject(TidegateError):
    """A stored object is not what was written: wrong checksum, unknown format or version."""


class ForeignObject(TidegateError):
    """An input event names an object outside the place that this deployment reads from."""


class ObjectNotFound(TidegateError):
    """There is no object under this key."""


class ConditionFailed(TidegateError):
    """A conditional write of the table did not happen, because its condition did not hold."""
