from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tidegate.epochs.intake import Accepted, InputObject
from tidegate.epochs.layout import Limits, Split, lay_out, take
from tidegate.limits import INPUT_OBJECT_BYTES, KEY_GROUPS, MAX_TASKS
from tidegate.outline import Outline, SourceOutline

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
    tasks = max(1, min(limits.tasks, sum(most), -(-sum(sizes) // limits.task_bytes)))
    # What is not cut begins in a task's share and goes on behind it.
    over = max((min(size, 2 * limits.split_bytes) if splits else size) for size in sizes)
    for each in layout.slices:
        taken = sum((sizes[s.input] if s.end is None else s.end) - s.start for s in each)
        assert taken <= sum(sizes) / tasks + over + 1


def test_a_large_file_is_cut_where_shares_end() -> None:
    limits = Limits(small=0, task_bytes=100, split_bytes=30)
    layout = lay_out(inputs([40, 260]), limits, PLAN)
    assert layout.slices == ((Split(0), Split(1, 0, 60)), (Split(1, 60, 160),), (Split(1, 160),))


def test_what_is_compressed_or_a_mark_or_too_large_to_be_read_is_not_cut() -> None:
    limits = Limits(small=0, task_bytes=100, split_bytes=1)
    assert lay_out(inputs([1_000], "json.gz"), limits, PLAN).slices == ((Split(0),),)
    assert lay_out(inputs([1_000]), limits, plan(1, splits=False)).slices == ((Split(0),),)
    assert lay_out(inputs([INPUT_OBJECT_BYTES + 1]), limits, PLAN).slices == ((Split(0),),)
    assert len(lay_out(inputs([INPUT_OBJECT_BYTES]), limits, PLAN).slices) == limits.tasks


@given(sizes, limits)
def test_small_epochs_have_one_task(sizes: list[int], limits: Limits) -> None:
    layout = lay_out(inputs(sizes), limits, PLAN)
    assert layout.small == (sum(sizes) <= limits.small or limits.tasks == 1)
    if layout.small:
        assert layout.slices == (tuple(map(Split, range(len(sizes)))),)
        assert layout.ranges == ((0, KEY_GROUPS),)


def test_an_empty_file_at_the_end_of_a_large_epoch() -> None:
    layout = lay_out(inputs([10, 10, 0, 0]), Limits(small=0, task_bytes=10), PLAN)
    assert layout.slices == ((Split(0),), (Split(1), Split(2), Split(3)))


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


def test_one_object_always_fits() -> None:
    assert len(take(inputs([10**12, 1]), Limits(bytes=1))) == 1
    assert take([], Limits()) == ()
