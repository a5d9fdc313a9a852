"""The window sum in Flink SQL: a stream of bounded files, in two tasks, without checkpoints."""

import sys
from pathlib import Path

from pyflink.table import EnvironmentSettings, TableEnvironment

events, answer = map(Path, sys.argv[1:])
# With ten seconds the answer is wrong, most likely because the two readers take the files in another order
# and elements come late. So all windows wait for the end.
DELAY = "INTERVAL '3' HOUR"

table = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
table.get_config().set("parallelism.default", "2")
table.get_config().set("table.local-time-zone", "UTC")
table.execute_sql(f"""
    CREATE TABLE events (
        `key` STRING, `value` BIGINT, `at` BIGINT,
        moment AS TO_TIMESTAMP_LTZ(`at`, 3),
        WATERMARK FOR moment AS moment - {DELAY}
    ) WITH ('connector' = 'filesystem', 'path' = '{events.resolve()}', 'format' = 'json')
""")
table.execute_sql(f"""
    CREATE TABLE totals (`key` STRING, window_start TIMESTAMP(3), total BIGINT)
    WITH ('connector' = 'filesystem', 'path' = '{answer.resolve()}', 'format' = 'json')
""")
table.execute_sql("""
    INSERT INTO totals
    SELECT `key`, window_start, SUM(`value`)
    FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(moment), INTERVAL '2' MINUTES))
    GROUP BY `key`, window_start, window_end
""").wait()
