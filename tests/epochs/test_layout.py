from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tidegate.epochs.intake import Accepted, InputObject
from tidegate.epochs.layout import Limits, Split, lay_out, take
from tidegate.limits import (
    INPUT_OBJECT_BYTES,
    KEY_GROUPS,
    MAX_FILES_PER_EPOCH,
    MAX_TASKS,
    OPEN_BYTES,
    SMALL_EPOCH_FILES,
)
from tidegate.outline import Outline, SourceOutline
from tidegate.references import KeyRange, Layer, Segment

sizes = st.lists(st.one_of(st.just(0), st.integers(1, 3), st.integers(0, 10**9)), max_size=60)
limits = st.builds(
    Limits,
    bytes=st.integers(1, 10**10),
    files=st.integers(1, 50),
    tasks=st.integers(1, MAX_TASKS),
    small=st.one_of(st.just(0), st.integers(0, 10**9)),
    task_bytes=st.one_of(st.just(1), st.integers(1, 10**9)),
    split_bytes=st.one_of(st.just(1), st.integers(1, 10**9)),
)


names = st.sampled_from(("json", "json.gz"))


def inputs(sizes: Sequence[int], suffix: str = "json") -> list[Accepted]:
    return [Accepted(InputObject(f"f{n}.{suffix}", "1", size), f"{n:05}") for n, size in enumerate(sizes)]


def plan(shuffles: int, *, splits: bool = True) -> Outline:
    return Outline("p", "f", (), (SourceOutline("json", "events", splits=splits),), "panes", shuffles)


PLAN = plan(1)
MB = 1024 * 1024


@given(sizes, names, limits, st.booleans())
def test_a_layout_covers_everything_once_and_in_order(
    sizes: list[int], suffix: str, limits: Limits, shuffles: bool
) -> None:
    layout = lay_out(inputs(sizes, suffix), limits, plan(int(shuffles)))
    splits = [split for each in layout.slices for split in each]
    assert sorted({each.input for each in splits}) == list(range(len(sizes)))
    assert [each.input for each in splits] == sorted(each.input for each in splits)
    for number, size in enumerate(sizes):
        parts = [(each.start, each.end) for each in splits if each.input == number]
        assert [end for _, end in parts] == [*(start for start, _ in parts[1:]), None]
        assert parts[0][0] == 0
        assert len(parts) == 1 or size - parts[-1][0] >= limits.split_bytes
        assert all(end - start >= limits.split_bytes for start, end in parts if end is not None)
        assert len(parts) == 1 or suffix == "json"
    assert len(layout.slices) <= limits.tasks
    if not layout.small:
        assert all(layout.slices)
    if shuffles:
        assert layout.ranges[0][0] == 0
        assert layout.ranges[-1][1] == KEY_GROUPS
        assert all(low < high for low, high in layout.ranges)
        assert all(
            first[1] == second[0] for first, second in zip(layout.ranges, layout.ranges[1:], strict=False)
        )
        assert len(layout.ranges) <= limits.tasks
    else:
        assert layout.ranges == ()


@given(sizes, limits, st.booleans())
def test_tasks_share_the_bytes_evenly(sizes: list[int], limits: Limits, splits: bool) -> None:
    layout = lay_out(inputs(sizes), limits, plan(1, splits=splits))
    if layout.small or not sizes:
        return
    most = [max(1, size // limits.split_bytes) if splits else 1 for size in sizes]
    costs = [max(size, OPEN_BYTES) for size in sizes]
    tasks = min(limits.tasks, sum(most), -(-sum(costs) // limits.task_bytes))
    # What is not cut begins in a task's share and goes on behind it; a file of one byte cannot be cut in two.
    over = max((min(cost, 2 * limits.split_bytes) if splits else cost) for cost in costs) + 2 * OPEN_BYTES
    for each in layout.slices:
        shares = [
            ((sizes[s.input] if s.end is None else s.end) - s.start) / max(1, sizes[s.input]) for s in each
        ]
        whole = [share or float(not sizes[s.input]) for share, s in zip(shares, each, strict=True)]
        taken = sum(costs[s.input] * share for s, share in zip(each, whole, strict=True))
        assert taken <= sum(costs) / tasks + over + 1


def test_a_large_file_is_cut_where_shares_end() -> None:
    limits = Limits(small=0, task_bytes=100 * MB, split_bytes=30 * MB)
    layout = lay_out(inputs([40 * MB, 260 * MB]), limits, PLAN)
    first, second = 60 * MB, 160 * MB
    assert layout.slices == ((Split(0), Split(1, 0, first)), (Split(1, first, second),), (Split(1, second),))


def test_what_is_compressed_or_a_mark_or_too_large_to_be_read_is_not_cut() -> None:
    limits = Limits(small=0, task_bytes=1, split_bytes=1)
    assert lay_out(inputs([1_000], "json.gz"), limits, PLAN).slices == ((Split(0),),)
    assert lay_out(inputs([1_000]), limits, plan(1, splits=False)).slices == ((Split(0),),)
    assert lay_out(inputs([INPUT_OBJECT_BYTES + 1]), limits, PLAN).slices == ((Split(0),),)
    assert len(lay_out(inputs([1_000]), limits, PLAN).slices) > 1
    assert len(lay_out(inputs([INPUT_OBJECT_BYTES]), limits, PLAN).slices) == limits.tasks


def test_files_too_small_to_matter_are_shared_by_their_number() -> None:
    """Ten thousand files of a hundred bytes are not one task's, which would open one after the other."""
    layout = lay_out(inputs([100] * 10_000), Limits(), PLAN)
    assert not layout.small
    assert [len(each) for each in layout.slices] == [500] * 20


@given(sizes, limits)
def test_small_epochs_have_one_task(sizes: list[int], limits: Limits) -> None:
    layout = lay_out(inputs(sizes), limits, PLAN)
    assert layout.small == (sum(sizes) <= limits.small or limits.tasks == 1)
    if layout.small:
        assert layout.slices == (tuple(map(Split, range(len(sizes)))),)
        assert layout.ranges == ((0, KEY_GROUPS),)


# Reduce tasks


def segment(low: int, high: int, size: int, windows: int = 1_000) -> Segment:
    """State of so many bytes, in a layer of a wider range that has ten times as much."""
    layer = Layer("a", 0, 10 * size, "", 10 * windows, KeyRange(low, high))
    return Segment(KeyRange(low, high), (layer,), 0, windows=windows)


def test_reduce_tasks_follow_from_state_and_not_from_map_tasks() -> None:
    backfill = inputs([10 * MB] * 100)
    layout = lay_out(backfill, Limits(), PLAN)
    assert (len(layout.slices), len(layout.ranges)) == (32, 16)
    layout = lay_out(inputs([9 * MB]), Limits(), PLAN, [segment(0, KEY_GROUPS, 320 * MB)])
    assert (len(layout.slices), len(layout.ranges)) == (1, 16)
    assert len(lay_out(backfill, Limits(), plan(0)).ranges) == 0


def test_an_epoch_with_much_state_is_not_small_and_needs_no_input_for_that() -> None:
    assert lay_out([], Limits(), PLAN, [segment(0, KEY_GROUPS, 32 * MB)]).small
    layout = lay_out([], Limits(), PLAN, [segment(0, KEY_GROUPS, 33 * MB)])
    assert not layout.small
    assert layout.slices == ()
    assert len(layout.ranges) == 2


def test_rows_count_as_much_as_they_take_in_memory_however_small_they_are_stored() -> None:
    rows = 32 * MB // 64
    assert lay_out([], Limits(), PLAN, [segment(0, KEY_GROUPS, MB, rows)]).small
    assert len(lay_out([], Limits(), PLAN, [segment(0, KEY_GROUPS, MB, 20 * rows)]).ranges) == 32


def test_where_there_is_much_state_it_is_cut_finer() -> None:
    hot = [segment(0, 512, 30 * MB), segment(512, 528, 320 * MB), segment(528, KEY_GROUPS, 30 * MB)]
    layout = lay_out([], Limits(), PLAN, hot)
    inside = [high - low for low, high in layout.ranges if low >= 512 and high <= 528]
    assert inside == [1] * 16
    assert len(layout.ranges) <= 16 + 7
    assert (0, 512) in layout.ranges


@given(st.integers(1, 10**10), st.integers(1, 10**10), limits)
def test_ranges_of_two_epochs_lie_inside_of_each_other_or_apart(
    first: int, second: int, limits: Limits
) -> None:
    """What is cut in an epoch after the other is cut in the same places, and never into splinters."""
    ranges = [
        lay_out(inputs([10**9]), limits, PLAN, [segment(100, 700, size)]).ranges for size in (first, second)
    ]
    for low, high in ranges[0]:
        for other_low, other_high in ranges[1]:
            inside = (low <= other_low and other_high <= high) or (other_low <= low and high <= other_high)
            assert inside or high <= other_low or other_high <= low


segments = st.lists(
    st.builds(
        lambda low, width, size, windows: segment(low, min(KEY_GROUPS, low + width), size, windows),
        st.integers(0, KEY_GROUPS - 1),
        st.integers(1, KEY_GROUPS),
        st.integers(0, 10**9),
        st.integers(1, 10**6),
    ),
    max_size=20,
)


@given(st.lists(st.integers(0, 10**9), max_size=5), segments, limits)
def test_reduce_tasks_share_state_and_input_evenly(
    sizes: list[int], state: list[Segment], limits: Limits
) -> None:
    layout = lay_out(inputs(sizes), limits, PLAN, state)
    if layout.small:
        return
    groups = [sum(sizes) / 2 / KEY_GROUPS] * KEY_GROUPS
    for each in state:
        for group in range(each.range.low, each.range.high):
            size = max(each.layers[0].length / 10, 64 * each.windows)
            groups[group] += size / (each.range.high - each.range.low)
    weights = [sum(groups[low:high]) for low, high in layout.ranges]
    # What is more than a task is given is halved, as long as there may be more tasks.
    heavy = [weight for weight, (low, high) in zip(weights, layout.ranges, strict=True) if high - low > 1]
    if len(layout.ranges) < limits.tasks:
        # Where windows are counted the bytes of a segment are rounded.
        assert all(weight <= limits.task_bytes * 1.001 + KEY_GROUPS for weight in heavy)


@given(sizes, limits)
def test_an_epoch_takes_what_fits_and_at_least_one(sizes: list[int], limits: Limits) -> None:
    waiting = inputs(sizes)
    taken = take(waiting, limits)
    assert list(taken) == waiting[: len(taken)]
    assert len(taken) <= limits.files
    assert bool(taken) == bool(waiting)
    size = sum(each.object.size for each in taken)
    assert size <= limits.bytes or len(taken) == 1
    if len(taken) < min(len(waiting), limits.files):
        assert size + waiting[len(taken)].object.size > limits.bytes


def test_an_epoch_takes_no_more_files_than_its_tasks_read_in_time() -> None:
    """Each is a request or more, one after the other."""
    waiting = inputs([1] * (MAX_FILES_PER_EPOCH + 1))
    assert len(take(waiting, Limits(tasks=1))) == SMALL_EPOCH_FILES
    assert len(take(waiting, Limits(tasks=3))) == 3 * SMALL_EPOCH_FILES
    assert len(take(waiting, Limits())) == MAX_FILES_PER_EPOCH


def test_one_object_always_fits() -> None:
    assert len(take(inputs([10**12, 1]), Limits(bytes=1))) == 1
    assert take([], Limits()) == ()
