"""The window sum in Spark Structured Streaming: of all files that are there, each window in the end."""

import sys
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

events, answer = map(Path, sys.argv[1:])
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.sql.shuffle.partitions", 2)
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.ui.enabled", False)
    .getOrCreate()
)


def write(totals: DataFrame, batch: int) -> None:
    totals.write.mode("overwrite").json(str(answer))


totals = (
    spark.readStream.schema("key STRING, value BIGINT, at BIGINT")
    .json(str(events))
    .withColumn("at", f.timestamp_millis("at"))
    .withWatermark("at", "10 seconds")
    .groupBy("key", f.window("at", "2 minutes"))
    .agg(f.sum("value").alias("total"))
    .select("key", f.col("window.start").alias("window_start"), "total")
)
# In the mode that waits for the watermark the last windows would never be written.
query = totals.writeStream.outputMode("complete").trigger(availableNow=True).foreachBatch(write)
query.option("checkpointLocation", str(answer) + ".checkpoint").start().awaitTermination()
spark.stop()
