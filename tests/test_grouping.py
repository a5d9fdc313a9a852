"""Key, windows, trigger and aggregates together: what makes sense, and what is refused."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

import tidegate as tg
from tidegate.errors import PipelineError
from tidegate.grouping import Windowing
from tidegate.plan import compile_plan
from tidegate.timestamps import MAX
from tidegate.triggers import DEFAULT_TRIGGER

SCHEMA = {
    "team": pl.String,
    "score": pl.Int64,
    "rate": pl.Float64,
    "day": pl.Date,
    "tags": pl.List(pl.String),
    "at": pl.Datetime("us"),
}


def stream() -> tg.Stream:
    schema = {name: dtype for name, dtype in SCHEMA.items() if name != "tags"}
    read = tg.read_json("x", schema=schema, event_time="at", watermark=tg.BoundedDelay("10s"))
    return read.with_columns(tags=pl.col("team").str.split(","))


def windowed() -> tg.Stream:
    return stream().window(tg.FixedWindows("2m"))


def retracting() -> tg.Stream:
    windows = windowed().trigger(tg.AfterWatermark(early=tg.AfterCount(1)))
    return windows.accumulate(tg.ACCUMULATING_AND_RETRACTING).group_by("team").agg(games=tg.count())


def regrouped(accumulation: Any, trigger: Any, times: int = 2) -> tg.Stream:
    built = stream()
    for _ in range(times):
        windows = built.window(tg.FixedWindows("2m")).trigger(trigger).accumulate(accumulation)
        built = windows.group_by("team").agg(games=tg.count())
    return built


def test_panes_have_key_window_values_and_the_panes_own_columns() -> None:
    built = windowed().group_by("team").agg(total=tg.sum("score"), games=tg.count())

    assert list(built.schema) == [
        "team",
        "window_start",
        "window_end",
        "total",
        "games",
        "pane_timing",
        "pane_index",
        "pane_is_last",
        "op",
        "emitted_at",
    ]


def test_keys_may_be_expressions() -> None:
    built = windowed().group_by("team", pl.col("day"), late=pl.col("score") > 3).agg(games=tg.count())

    assert list(built.schema)[:3] == ["team", "day", "late"]
    assert built.schema["late"] == pl.Boolean()


def test_there_may_be_no_key() -> None:
    assert list(windowed().group_by().agg(games=tg.count()).schema)[:2] == ["window_start", "window_end"]


def test_the_defaults() -> None:
    windowing = windowed().windowing

    assert windowing
    assert windowing.trigger == DEFAULT_TRIGGER
    assert windowing.accumulation is tg.DISCARDING
    assert windowing.allowed_lateness == 0


def group(*keys: Any, **named: Any) -> Any:
    return windowed().group_by(*keys, **named)


def agg(**aggregates: Any) -> Any:
    return group("team").agg(**aggregates)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: stream().group_by("team"),
            r"group_by: no window is set\. Call \.window\(\.\.\.\) before it",
        ),
        (lambda: stream().trigger(DEFAULT_TRIGGER), r"trigger: no window is set\. Call \.window"),
        (lambda: stream().accumulate(tg.ACCUMULATING), r"accumulate: no window is set"),
        (
            lambda: stream().window(tg.FixedWindows("2m"), timestamp="middle"),
            r"window\(timestamp=\.\.\.\): 'middle' is unknown. Give one of end_of_window, earliest, latest",
        ),
        (
            lambda: windowed().accumulate("both"),
            "accumulate: 'both' is unknown. Give DISCARDING, ACCUMULATING or ACCUMULATING_AND_RETRACTING",
        ),
        (
            lambda: agg(n=pl.col("score").sum()),
            r"agg\(n=\.\.\.\): .* does not fit here\. Give one of Tidegate",
        ),
        (lambda: stream().window("2m"), "window: '2m' does not fit here. Give windows, such as"),
        (lambda: windowed().trigger(3), "trigger: 3 does not fit here. Give a trigger, such as"),
        (lambda: windowed().trigger(tg.AfterWatermark), "trigger: .* does not fit here"),
        (lambda: group(3), r"group_by: 3 does not fit here\. Give an expression"),
        (
            lambda: windowed().write_json("out"),
            "write_json: windows are set, and nothing is computed in them",
        ),
        (agg, r"agg: nothing is computed\. Give for example total=tg\.sum"),
        (
            lambda: group("team").agg(tg.count()),  # type: ignore[arg-type]
            r"agg: an aggregate has no name\. Name it, as in agg\(n=tg\.count\(\)\)",
        ),
        (
            lambda: group(["team", "score"]),
            r"group_by: .* Give them one by one: 'team', 'score'\.",
        ),
        (
            lambda: (
                agg(n=tg.count()).window(tg.FixedWindows("1h")).group_by("window_start").agg(n=tg.count())
            ),
            r"window_start belongs to the system.*such as group_by\(window=pl\.col\('window_start'\)\)",
        ),
        (lambda: agg(team=tg.count()), "agg: team is already a key column. Choose another name"),
        (lambda: agg(op=tg.count()), "agg: the name op belongs to the system. Choose another name"),
        (lambda: agg(__x=tg.count()), "agg: the name __x belongs to the system"),
        (lambda: group(op=pl.col("team")).agg(n=tg.count()), "agg: the name op belongs to the system"),
        (lambda: group("nope"), r"group_by: there is no column .*nope.* The columns here are team"),
        (lambda: group(pl.col("score").cum_sum()), "group_by: .* looks at other rows"),
        (
            lambda: group("rate").agg(n=tg.count()),
            r"the key rate is a Float64.*cast it, for instance with pl\.col\('rate'\)",
        ),
        (lambda: group("tags").agg(n=tg.count()), r"the key tags is a List\(String\)"),
        (
            lambda: agg(n=tg.count()).group_by("team"),
            r"group_by: no window is set.*window\(\.\.\.\) once more",
        ),
        (lambda: agg(n=tg.count()).trigger(DEFAULT_TRIGGER), r"trigger: no window is set.*once more"),
        (
            lambda: regrouped(tg.ACCUMULATING, tg.Repeatedly(tg.AfterCount(1))),
            r"group_by: the panes before it are accumulating.*ACCUMULATING_AND_RETRACTING",
        ),
        (
            lambda: regrouped(tg.ACCUMULATING, tg.AfterWatermark(), times=9),
            "the pipeline groups 8 times already",
        ),
        (
            lambda: retracting().window(tg.Sessions("1h")).accumulate(tg.DISCARDING).group_by("team"),
            r"window\(Sessions.*: the panes before it may be taken back.*_RETRACTING\) behind it",
        ),
        (
            lambda: (
                retracting().filter(pl.col("op") == "insert").window(tg.FixedWindows("1h")).group_by("team")
            ),
            r"\(filter\): it reads op, which a retraction does not repeat.*or read it behind",
        ),
        (
            lambda: retracting().window(tg.FixedWindows("1h")).group_by(by=pl.col("emitted_at")),
            "group_by: it reads emitted_at, which a retraction does not repeat",
        ),
        (
            lambda: windowed().trigger(tg.AfterCount(2)).group_by("team"),
            r"trigger\(AfterCount\(2\)\): it can finish",
        ),
    ],
)
def test_what_is_refused(build: Any, message: str) -> None:
    with pytest.raises(PipelineError, match=message) as error:
        build()
    assert error.value.step
    assert error.value.mend.endswith(".")


@pytest.mark.parametrize(
    "trigger",
    [tg.AfterCount(2), tg.AfterWatermark(), tg.AfterWatermark(early=tg.AfterCount(1))],
    ids=lambda each: each.describe(),
)
def test_an_unsafe_trigger_may_be_allowed(trigger: Any) -> None:
    late = stream().window(tg.FixedWindows("2m"), allowed_lateness="1h")

    with pytest.raises(PipelineError, match="or pass allow_unsafe_trigger=True"):
        late.trigger(trigger).group_by("team")
    late.trigger(trigger, allow_unsafe_trigger=True).group_by("team")


REPEATED = tg.Repeatedly(tg.AfterCount(2))


@pytest.mark.parametrize(
    "trigger",
    [
        REPEATED,
        tg.Repeatedly(tg.AlignedDelay("1m")),
        tg.Repeatedly(tg.AfterAny(tg.AfterCount(9), tg.AfterProcessingTime("1m"), tg.AfterWatermark())),
        tg.AfterEach(tg.AfterCount(1), REPEATED),
        tg.OrFinally(REPEATED, tg.Never()),
    ],
    ids=lambda each: each.describe(),
)
def test_what_never_finishes_and_needs_no_watermark_is_safe_everywhere(trigger: Any) -> None:
    for window_fn in (tg.FixedWindows("2m"), tg.Sessions("1m"), tg.GlobalWindows()):
        stream().window(window_fn, allowed_lateness="1h").trigger(trigger).group_by("team")


@pytest.mark.parametrize(
    "trigger",
    [
        tg.AfterWatermark(early=REPEATED),
        tg.AfterAll(tg.AfterWatermark(), tg.AfterProcessingTime("1m")),
        tg.AfterAny(tg.AfterWatermark(), tg.Never()),
        tg.AfterEach(tg.AfterCount(1), tg.AfterWatermark()),
        tg.OrFinally(REPEATED, tg.AfterWatermark()),
    ],
    ids=lambda each: each.describe(),
)
def test_what_finishes_at_the_end_of_the_window_is_safe_unless_lateness_is_allowed(trigger: Any) -> None:
    windowed().trigger(trigger).group_by("team")
    with pytest.raises(PipelineError, match="late elements within the allowed lateness of 1s would be lost"):
        stream().window(tg.FixedWindows("2m"), allowed_lateness="1s").trigger(trigger).group_by("team")


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        (
            DEFAULT_TRIGGER,
            r"it can never fire: BoundedDelay\(.*\) never reaches the end of the global window",
        ),
        (tg.AfterEach(tg.AfterCount(1), DEFAULT_TRIGGER), "it can come to never fire again: BoundedDelay"),
    ],
)
def test_what_waits_for_the_end_of_the_global_window_is_safe_if_the_source_ends(
    trigger: Any, message: str
) -> None:
    (branch,) = stream().branches
    perfect = replace(branch, source=replace(branch.source, watermark=tg.Perfect()))
    bounded = replace(stream(), branches=(perfect,))

    bounded.window(tg.GlobalWindows()).trigger(trigger).group_by("team")
    with pytest.raises(PipelineError, match=message):
        stream().window(tg.GlobalWindows()).trigger(trigger).group_by("team")


def test_nothing_is_late_for_the_global_window() -> None:
    early = tg.AfterWatermark(early=tg.AfterCount(1))

    stream().window(tg.GlobalWindows(), allowed_lateness="1h").trigger(early).group_by("team")


def test_expiry_is_the_end_and_the_lateness_and_never_overflows() -> None:
    ends = pl.DataFrame({"end": [100, MAX - 60, MAX - 1, MAX]})

    def expiry(lateness: int) -> list[int]:
        windowing = Windowing(tg.FixedWindows("2m"), allowed_lateness=lateness)
        return ends.select(windowing.expiry(pl.col("end"))).to_series().to_list()

    assert expiry(0) == [100, MAX - 60, MAX - 1, MAX - 1]
    assert expiry(50) == [150, MAX - 10, MAX - 1, MAX - 1]
    assert expiry(MAX) == [MAX - 1] * 4


def test_windows_that_are_set_again_keep_the_trigger_and_the_accumulation() -> None:
    once = stream().window(tg.FixedWindows("1h"), allowed_lateness="1h")
    again = (
        once.trigger(tg.Repeatedly(tg.AfterCount(1)))
        .accumulate(tg.ACCUMULATING)
        .window(tg.FixedWindows("2m"))
    )

    assert again.windowing is not None
    described = again.windowing.describe()
    assert described.startswith("FixedWindows(size=2m, offset=0s), allowed_lateness=0s, Repeatedly(")
    assert described.endswith(", accumulating")


def test_a_stream_is_immutable() -> None:
    base = windowed()
    windowing, before = base.windowing, base.steps
    base.trigger(tg.Repeatedly(tg.AfterCount(1))).accumulate(tg.ACCUMULATING)
    base.filter(pl.col("score") > 0)

    assert base.windowing is windowing
    assert base.steps is before


@pytest.mark.parametrize("name", ["", "-a", "a b", "ä", "a/b", "x" * 64, 3])
def test_a_pipelines_name_is_refused(name: Any) -> None:
    with pytest.raises(PipelineError, match=r"the name cannot be used\. Use 1 to 63 letters"):
        tg.Pipeline(name, stream().select("team").write_json("out"))


def test_a_pipeline_without_a_sink_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"it has no sink\. End the stream with \.write_json"):
        tg.Pipeline("p", stream())
    compile_plan(tg.Pipeline("p", stream().write_parquet("out")))


def test_words_may_be_given_as_texts() -> None:
    windowing = (
        stream().window(tg.FixedWindows("2m"), timestamp="latest").accumulate("accumulating").windowing
    )

    assert windowing
    assert windowing.accumulation is tg.ACCUMULATING
    assert windowing.describe() == (
        "FixedWindows(size=2m, offset=0s), allowed_lateness=0s, timestamp=latest, "
        "AfterWatermark(late=AfterCount(1)), accumulating"
    )


def test_a_pane_may_be_selected_with_its_own_columns_before_it_is_grouped_again() -> None:
    kept = retracting().select("team", "op", "emitted_at", "games").filter(pl.col("pane_timing") != "late")
    assert kept.window(tg.FixedWindows("1h")).group_by("team").agg(panes=tg.count())
