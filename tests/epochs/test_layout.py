from hypothesis import given
from hypothesis import strategies as st

from tidegate.epochs.intake import Accepted, InputObject
from tidegate.epochs.layout import Limits, lay_out, take
from tidegate.limits import KEY_GROUPS, MAX_TASKS

sizes = st.lists(st.one_of(st.just(0), st.integers(1, 3), st.integers(0, 10**9)), max_size=60)
limits = st.builds(
    Limits,
    bytes=st.integers(1, 10**10),
    files=st.integers(1, 50),
    tasks=st.integers(1, MAX_TASKS),
    small=st.one_of(st.just(0), st.integers(0, 10**9)),
    task_bytes=st.one_of(st.just(1), st.integers(1, 10**9)),
)


def inputs(sizes: list[int]) -> list[Accepted]:
    return [Accepted(InputObject(f"f{n}", "1", size), f"{n:05}") for n, size in enumerate(sizes)]


@given(sizes, limits, st.booleans())
def test_a_layout_covers_everything_once_and_in_order(
    sizes: list[int], limits: Limits, shuffles: bool
) -> None:
    layout = lay_out(inputs(sizes), limits, shuffles=shuffles)
    assert [number for each in layout.slices for number in each] == list(range(len(sizes)))
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


@given(sizes, limits)
def test_tasks_share_the_bytes_evenly(sizes: list[int], limits: Limits) -> None:
    layout = lay_out(inputs(sizes), limits, shuffles=True)
    if layout.small or not sizes:
        return
    largest, total = max(sizes), sum(sizes)
    fair = total / max(1, min(limits.tasks, len(sizes), -(-total // limits.task_bytes)))
    assert all(sum(sizes[number] for number in each) <= fair + largest for each in layout.slices)


@given(sizes, limits)
def test_small_epochs_have_one_task(sizes: list[int], limits: Limits) -> None:
    layout = lay_out(inputs(sizes), limits, shuffles=True)
    assert layout.small == (sum(sizes) <= limits.small or limits.tasks == 1)
    if layout.small:
        assert layout.slices == (tuple(range(len(sizes))),)
        assert layout.ranges == ((0, KEY_GROUPS),)


def test_an_empty_file_at_the_end_of_a_large_epoch() -> None:
    layout = lay_out(inputs([10, 10, 0, 0]), Limits(small=0, task_bytes=10), shuffles=True)
    assert layout.slices == ((0,), (1, 2, 3))


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
