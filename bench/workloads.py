"""What is measured: for each workload its input, Tidegate's pipeline and DuckDB's query.

A query and a pipeline read the same files and write the same rows, and `answer` says which columns of the
panes those are: what a pane says of its emission is Tidegate's own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.inputs import write_events, write_words
from bench.nexmark import write_nexmark

Write = Callable[[Path, int, int], None]
"""Writes so many rows as so many files into a folder."""


@dataclass(frozen=True)
class Workload:
    """A benchmark.

    Attributes:
        name: What it is called on the command line.
        title: What is computed, for tables.
        pipeline: Tidegate's, as `tidegate run` takes it.
        rows: How many rows or events the input has, if the command line does not say.
        write: Writes the input. Workloads with the same one share it.
        query: DuckDB's, over `{input}`, the folder of the input.
        answer: The same columns from Tidegate's `{output}`, a table function over the files of its answer.
        answers_as: The format that both write.
        to_reach: How many times DuckDB's CPU seconds Tidegate is to need at most; None if nothing is set.
    """

    name: str
    title: str
    pipeline: str
    rows: int
    write: Write
    query: str
    answer: str
    answers_as: str = "json"
    to_reach: float | None = None

    @property
    def options(self) -> str:
        """How DuckDB writes the answer."""
        return "FORMAT json" if self.answers_as == "json" else "FORMAT parquet, COMPRESSION zstd"


_JSON = """
    read_json('{input}/events/*.json', format = 'newline_delimited',
              columns = {{key: 'VARCHAR', value: 'BIGINT', "at": 'BIGINT'}})
"""

_SUM_JSON = f"""
    SELECT key, time_bucket(INTERVAL '2 minutes', epoch_ms("at")) AS window_start, sum(value)::BIGINT AS total
    FROM {_JSON} GROUP BY ALL
"""

_SUM_PARQUET = """
    SELECT key, time_bucket(INTERVAL '2 minutes', "at") AS window_start, sum(value)::BIGINT AS total
    FROM '{input}/parquet/*.parquet' GROUP BY ALL
"""

# Two minutes first, and then five of them to a window: a row is not copied into its windows.
_SLIDING = f"""
    WITH slides AS ({_SUM_JSON})
    SELECT key, window_start - INTERVAL '2 minutes' * before AS window_start, sum(total)::BIGINT AS total
    FROM slides, range(5) AS earlier(before) GROUP BY ALL
"""

_SESSIONS = f"""
    WITH events AS (SELECT key, value, epoch_ms("at") AS moment FROM {_JSON}),
    marked AS (
        SELECT *, lag(moment) OVER (PARTITION BY key ORDER BY moment) AS before FROM events
    ),
    numbered AS (
        SELECT *, count(*) FILTER (before IS NULL OR moment - before >= INTERVAL '1 minute')
            OVER (PARTITION BY key ORDER BY moment) AS session
        FROM marked
    )
    SELECT key, min(moment) AS window_start, max(moment) + INTERVAL '1 minute' AS window_end,
           sum(value)::BIGINT AS total
    FROM numbered GROUP BY key, session
"""

_WORDS = """
    SELECT word, count(*) AS number
    FROM read_json('{input}/words/*.json', format = 'newline_delimited', columns = {{word: 'VARCHAR'}})
    GROUP BY word
"""

_TOTALS = "SELECT key, window_start::TIMESTAMP AS window_start, total FROM {output}"

_EVENTS = 2_000_000
_BIDS = "'{input}/bids/*.parquet'"

_Q5 = f"""
    WITH slides AS (
        SELECT auction, time_bucket(INTERVAL '2 seconds', "dateTime") AS slide, count(*) AS number
        FROM {_BIDS} GROUP BY ALL
    ),
    counts AS (
        SELECT auction, slide - INTERVAL '2 seconds' * before AS started, sum(number)::BIGINT AS number
        FROM slides, range(5) AS earlier(before) GROUP BY ALL
    )
    SELECT started + INTERVAL '10 seconds' AS window_end, auction, number FROM counts
    QUALIFY number = max(number) OVER (PARTITION BY started)
"""

_Q7 = f"""
    WITH highest AS (
        SELECT time_bucket(INTERVAL '10 seconds', "dateTime") AS started, max(price) AS price
        FROM {_BIDS} GROUP BY ALL
    )
    SELECT auction, bidder, bids.price, "dateTime", extra
    FROM {_BIDS} AS bids JOIN highest
        ON bids.price = highest.price AND time_bucket(INTERVAL '10 seconds', "dateTime") = started
"""

_Q11 = f"""
    WITH marked AS (
        SELECT bidder, "dateTime" AS moment, lag(moment) OVER (PARTITION BY bidder ORDER BY moment) AS before
        FROM {_BIDS}
    ),
    numbered AS (
        SELECT *, count(*) FILTER (before IS NULL OR moment - before >= INTERVAL '10 seconds')
            OVER (PARTITION BY bidder ORDER BY moment) AS session
        FROM marked
    )
    SELECT bidder, min(moment)::TIMESTAMP AS window_start,
           max(moment)::TIMESTAMP + INTERVAL '10 seconds' AS window_end, count(*) AS number
    FROM numbered GROUP BY bidder, session
"""

_Q12_ANSWER = "SELECT bidder, sum(number)::BIGINT AS number FROM {output} GROUP BY bidder"


def _nexmark(name: str, title: str, query: str, answer: str) -> Workload:
    return Workload(
        name,
        f"Nexmark {title}",
        f"pipelines/nexmark/{name}.py",
        _EVENTS,
        write_nexmark,
        query,
        answer,
        "parquet",
    )


WORKLOADS = {
    each.name: each
    for each in (
        Workload(
            "sum-json",
            "sum of 5,000 keys, windows of 2 minutes, JSON",
            "bench/pipelines.py:sum_json",
            _EVENTS,
            write_events,
            _SUM_JSON,
            _TOTALS,
            to_reach=2.0,
        ),
        Workload(
            "sum-parquet",
            "the same from Parquet to Parquet",
            "bench/pipelines.py:sum_parquet",
            _EVENTS,
            write_events,
            _SUM_PARQUET,
            "SELECT key, timezone('UTC', window_start) AS window_start, total FROM {output}",
            "parquet",
            to_reach=3.0,
        ),
        Workload(
            "words",
            "word count, a fifth of the rows distinct, JSON",
            "bench/pipelines.py:word_count",
            5_000_000,
            write_words,
            _WORDS,
            "SELECT word, number FROM {output}",
            to_reach=3.0,
        ),
        Workload(
            "sliding",
            "sum of 5,000 keys, 10 minutes every 2 minutes, JSON",
            "bench/pipelines.py:sliding",
            _EVENTS,
            write_events,
            _SLIDING,
            _TOTALS,
        ),
        Workload(
            "sessions",
            "sum of 5,000 keys, sessions with gaps of a minute, JSON",
            "bench/pipelines.py:sessions",
            _EVENTS,
            write_events,
            _SESSIONS,
            "SELECT key, window_start::TIMESTAMP AS window_start, window_end::TIMESTAMP AS window_end, total "
            "FROM {output}",
        ),
        _nexmark(
            "q0",
            "q0, pass through",
            f"SELECT * FROM {_BIDS}",
            'SELECT auction, bidder, price, channel, url, "dateTime", extra FROM {output}',
        ),
        _nexmark(
            "q1",
            "q1, currency conversion",
            f'SELECT auction, bidder, "dateTime", extra, price * 0.908::DOUBLE AS price FROM {_BIDS}',
            'SELECT auction, bidder, "dateTime", extra, price FROM {output}',
        ),
        _nexmark(
            "q2",
            "q2, selection",
            f"SELECT auction, price FROM {_BIDS} WHERE auction % 123 = 0",
            "SELECT auction, price FROM {output}",
        ),
        _nexmark(
            "q5",
            "q5, hot items",
            _Q5,
            "SELECT timezone('UTC', window_end) AS window_end, unnest(auctions) AS auction, number "
            "FROM {output}",
        ),
        _nexmark(
            "q7",
            "q7, highest bid",
            _Q7,
            'SELECT bid.auction, bid.bidder, bid.price, bid."dateTime", bid.extra '
            "FROM (SELECT unnest(bids) AS bid FROM {output})",
        ),
        _nexmark(
            "q11",
            "q11, user sessions",
            _Q11,
            "SELECT bidder, timezone('UTC', window_start) AS window_start, timezone('UTC', window_end) AS "
            "window_end, number FROM {output}",
        ),
        _nexmark(
            "q12",
            "q12, windows of processing time",
            f"SELECT bidder, count(*) AS number FROM {_BIDS} GROUP BY bidder",
            _Q12_ANSWER,
        ),
    )
}
