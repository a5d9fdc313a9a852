"""Queries of Nexmark, the benchmark of an auction house, as pipelines.

The queries are those of nexmark/nexmark on GitHub: q0 to q8 are from NEXMark (Tucker, Tufte, Papadimos and
Maier, 2002), the others from Apache Beam. Events are read from Parquet files below `bids`, and answers are
written as Parquet below `answer`. `python -m bench` makes the events, and compares the answers with DuckDB's.
"""
