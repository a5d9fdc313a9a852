"""How large and how long things may be that users meet. Sizes are bytes, durations microseconds."""

KEY_GROUPS = 1_024
"""Key groups that a pipeline's state is born with; never changed afterwards."""

SMALL_EPOCH_BYTES = 8 * 1024 * 1024
"""An epoch of at most this many input bytes runs whole in one function call."""

SMALL_EPOCH_FILES = 500
"""The same for the number of its inputs: each is a request or more, one after the other."""

SMALL_STATE_BYTES = 32 * 1024 * 1024
"""The same for the state before it, as a reduce task is given so much: all of it may be due."""

MAX_BYTES_PER_EPOCH = 1024 * 1024 * 1024
"""Input bytes that one epoch takes at most (one object always fits)."""

MAX_FILES_PER_EPOCH = 10_000
"""Input objects that one epoch takes at most."""

TASK_BYTES = 32 * 1024 * 1024
"""Bytes that one task is given, unless the task limit makes it more: of input, or of state."""

ROW_BYTES = 64
"""Bytes that a row of state counts as at least: what is stored may be far smaller than what is in memory."""

OPEN_BYTES = 64 * 1024
"""Bytes that could be read while an input is opened: an input counts no less when tasks share them."""

SPLIT_BYTES = 8 * 1024 * 1024
"""Bytes that each part of a file has at least, where a file is cut up for several map tasks."""

MAX_TASKS = 40
"""Tasks of one stage at most, where a deployment does not want more of them."""

INLINE_TASKS = 40
"""Tasks of one stage that an inline Step Functions Map runs: all of them side by side, in one history.

More of them are a Distributed Map, which takes a second to begin, and two transitions a task."""

ATTACHED_BYTES = 256 * 1024
"""State, shuffle pieces and outputs that the results of a stage hold themselves, all of them together.

Each task has an equal share of it, so that whoever reads all results of a stage, which are the tasks of the
next one and the commit, reads no more than this beside what the results say. And a result stays, with all
that it holds, as long as one layer in it is part of the state.
"""

MAX_SHUFFLES = 8
"""Groupings of one pipeline at most, one behind the other."""

MAX_AHEAD = "1d"
"""How far past processing time an event time may lie before the record is a dead letter."""

EXECUTION_HISTORY = 10_000
"""Events in the history of one Step Functions execution before another takes over.

AWS allows 25,000, and each attempt that is tried again leaves more of them than this counts."""

LEASE = 20 * 60 * 1_000_000
"""How long a silent coordinator keeps others from starting; a hint, never a guard."""

RECONCILE_EVERY = 60 * 60 * 1_000_000
"""How often, at most, an awake coordinator lists the input for uploads whose events were lost."""

RECONCILE_OVERLAP = 48 * 60 * 60 * 1_000_000
"""How far behind the last listing the next one looks again.

S3 dates an upload in parts to its beginning, and the template has it ended after a day, give or take one."""

SWEEP_EVERY = 6 * 60 * 60 * 1_000_000
"""How often, at most, an awake coordinator has old epochs swept."""

SWEPT_AFTER = 24 * 60 * 60 * 1_000_000
"""How old an object must be on AWS before it is swept: far older than the longest run of a function."""

INPUT_OBJECT_BYTES = 4 * 1024 * 1024 * 1024
"""An uncompressed input object at most; a larger one is a dead letter."""

REJECTED_ONE_BY_ONE = 10_000
"""Rows of one file that a step's expression fails on and that are found one by one."""

REJECTED_IN_LATER_BATCHES = 100
"""The same of each later batch of a file that has so many dead letters already."""

RECORD_BYTES = 16 * 1024 * 1024
"""One record of JSON or CSV as it stands in its file, without its line end; a longer one is a dead letter."""

BATCH_BYTES = 16 * 1024 * 1024
"""Content that a task parses and combines at once, and bytes of an object that it asks for at once.

So what a task holds follows from this and from its keys and windows, and not from the size of a file: one
record of `RECORD_BYTES`, or one row group of Parquet, is what may be more.
"""

READ_AHEAD_BYTES = 1024 * 1024
"""Bytes of an input that is got at the same time as others, before it is its turn; of a larger one the bytes
themselves take longer than the store takes to answer, and those of Parquet are not all needed."""

PARTIALS_APART = 500_000
"""Rows of partials that a task holds uncombined at most, unless those of all it read are more."""

MARK_BYTES = 64 * 1024
"""A mark object at most."""

DEAD_LETTERS_PER_FILE = 250_000
"""Records of one file that its format or types refuse; with more of them the file is one dead letter.

A file of two-byte lines that are no records would otherwise take a hundred times its size in memory, and one
of 20 MB a whole function with it, at every attempt.
"""

DEAD_LETTER_REASON = 1_000
"""Characters of a dead letter's reason, which may quote what a user's function said."""

INFLATED_FREELY = 16 * 1024 * 1024
"""Content that a compressed file gives whatever its size; so much hurts nobody."""

GZIP_RATIO = 600
"""Content beyond `INFLATED_FREELY` for each byte of gzip at most, counted from the start.

Logs whose lines differ in nothing but their time were measured at 16 to 142, and at 585 when each line had
8,000 blanks. Zeros give 1,028, which is what the format can do.
"""

ZSTD_RATIO = 2_500
"""The same for each byte of Zstandard, and of Parquet, which has its pages in it.

A repeat of any length costs Zstandard a few bytes, so its ratios are larger: the same logs were measured at
52 to 1,528, with blanks at 2,270. Zeros give 32,000.
"""

CACHE_BYTES = 256 * 1024 * 1024
"""State that a warm function keeps in its folder at most: half of the room that Lambda gives."""

WINDOWS_PER_ELEMENT = 100_000
"""Sliding windows that one element may lie in: a day of them that begin every second are 86,400."""

SLICES_AT_ONCE = 2_000_000
"""Copies of slices, one for each sliding window that a slice is part of, that are in memory at once."""
