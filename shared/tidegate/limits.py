"""How large and how long things may be that users meet. Sizes are bytes, durations microseconds."""

KEY_GROUPS = 1_024
"""Key groups that a pipeline's state is born with; never changed afterwards."""

SMALL_EPOCH_BYTES = 8 * 1024 * 1024
"""An epoch of at most this many input bytes runs whole in one function call."""

MAX_BYTES_PER_EPOCH = 1024 * 1024 * 1024
"""Input bytes that one epoch takes at most (one object always fits)."""

MAX_FILES_PER_EPOCH = 1_000
"""Input objects that one epoch takes at most."""

MAP_TASK_BYTES = 32 * 1024 * 1024
"""Input bytes that one map task is given, unless the task limit makes it more."""

MAX_TASKS = 40
"""Tasks of one stage at most: the width of an inline Step Functions Map."""

MAX_AHEAD = "1d"
"""How far past processing time an event time may lie before the record is a dead letter."""

EXECUTION_HISTORY = 10_000
"""Events in the history of one Step Functions execution before another takes over.

AWS allows 25,000, and each attempt that is tried again leaves more of them than this counts."""

LEASE = 20 * 60 * 1_000_000
"""How long a silent coordinator keeps others from starting; a hint, never a guard."""

INPUT_OBJECT_BYTES = 4 * 1024 * 1024 * 1024
"""An uncompressed input object at most; a larger one is a dead letter."""

REJECTED_ONE_BY_ONE = 10_000
"""Rows of one file that a step's expression fails on and that are found one by one."""
