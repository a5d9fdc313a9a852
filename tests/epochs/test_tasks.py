from collections.abc import Sequence

import pytest

from tests.epochs.scenario import EARLY_AND_LATE, NOON, WAVES, Process, World, compiled, panes, remains
from tidegate.epochs import paths
from tidegate.epochs.drive import drive
from tidegate.epochs.layout import Limits
from tidegate.epochs.machine import State
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.result import Task, TaskResult, result_key
from tidegate.epochs.tasks import run_task
from tidegate.errors import CorruptObject, ObjectNotFound, TidegateError
from tidegate.limits import ATTACHED_BYTES
from tidegate.stores.ports import Objects
from tidegate.testing.faults import Crash, Interference

PLAN = compiled(trigger=EARLY_AND_LATE)
FANNED_OUT = Limits(small=0, task_bytes=1)
EPOCH = Task(1, "epoch", 0)


def frozen(
    limits: Limits | None = None, attached: int = ATTACHED_BYTES
) -> tuple[World, Process, EpochRecord]:
    world = World(attached=attached)
    process = Process(PLAN, world, limits or Limits())
    process.accept(WAVES[0], NOON)
    record = process.coordinator.plan()
    assert record is not None
    return world, process, record


def keys(objects: Objects, *folders: str) -> set[str]:
    return {info.key for folder in folders for info in objects.list(folder)}


def damaged(data: bytes) -> bytes:
    return data[:-20] + bytes([data[-20] ^ 1]) + data[-19:]


def test_the_first_result_wins_and_later_attempts_get_it() -> None:
    world, _, _ = frozen()
    first = run_task(PLAN, world.stores, EPOCH, "first")
    before = keys(world.state, "scores"), keys(world.output, "totals", "dead-letters")
    second = run_task(PLAN, world.stores, EPOCH, "second")
    assert (first.attempt, second) == ("first", first)
    assert (keys(world.state, "scores"), keys(world.output, "totals", "dead-letters")) == before


@pytest.mark.parametrize("attached", [ATTACHED_BYTES, 0], ids=["attached", "apart"])
def test_a_zombie_that_finishes_later_publishes_nothing_of_its_own(attached: int) -> None:
    """It runs until just before its claim; then another attempt, of other code, does the whole task."""
    other = compiled(trigger=EARLY_AND_LATE)
    world, _, _ = frozen(attached=attached)
    winners: list[TaskResult] = []

    def overtake() -> None:
        # The winner saw another upload under the same name: as if user code were not deterministic.
        winners.append(run_task(other, world.stores, EPOCH, "winner"))

    zombie = Process(PLAN, world, Limits(), trace := Interference())
    run_task(PLAN, zombie.stores, EPOCH, "probe")
    claim = next(n for n, call in enumerate(trace.trace, 1) if "put_if_absent" in call and "manifest" in call)

    world, _, _ = frozen(attached=attached)
    zombie = Process(PLAN, world, Limits(), Interference(claim, before=overtake))
    result = run_task(PLAN, zombie.stores, EPOCH, "zombie")
    assert result == winners[0]
    assert result.attempt == "winner"
    for output in result.outputs:
        staged = output.staged
        (data,) = world.state.get_ranges(staged.key, [(staged.offset, staged.size)])
        assert world.output.get(output.name) == data
    written = keys(world.state, "scores")
    if attached:
        # What belongs to an attempt is in its result, and that of the zombie was never written.
        assert {output.staged.key for output in result.outputs} == {result_key(PLAN.name, EPOCH)}
        assert not keys(world.state, "scores/data")
    else:
        # What the zombie wrote lies about, and nothing names it.
        assert all("winner" in output.staged.key for output in result.outputs)
        assert any("zombie" in key for key in written)
    assert not any("zombie" in layer.key for segment in result.segments for layer in segment.layers)


def test_a_zombie_of_other_bytes_changes_no_output(monkeypatch: pytest.MonkeyPatch) -> None:
    world, _, _ = frozen()
    run_task(PLAN, world.stores, EPOCH, "winner")
    (name, *_) = keys(world.output, "totals")
    published = world.output.get(name)
    monkeypatch.setattr("tidegate.sinks.sink.Sink.encode", lambda self, rows: b"other bytes\n")
    real = world.state.get

    def blind(key: str, version: str | None = None, first: list[str] = []) -> bytes:  # noqa: B006
        if key == result_key(PLAN.name, EPOCH) and not first:
            first.append(key)
            raise ObjectNotFound("not yet")
        return real(key, version)

    monkeypatch.setattr(world.state, "get", blind)
    result = run_task(PLAN, world.stores, EPOCH, "zombie")
    assert result.attempt == "winner"
    assert world.output.get(name) == published


@pytest.mark.parametrize("attached", [ATTACHED_BYTES, 0], ids=["attached", "apart"])
def test_output_appears_only_after_the_claim(attached: int) -> None:
    world, _, _ = frozen(attached=attached)
    interference = Interference()
    run_task(PLAN, Process(PLAN, world, Limits(), interference).stores, EPOCH, "one")
    calls = [call for call in interference.trace if "put" in call.split()[1]]
    claim = next(number for number, call in enumerate(calls) if "/manifest" in call)
    assert claim == (0 if attached else 3), "state, output and dead letters are stored before it"
    assert all(call.startswith("output put_if_absent") for call in calls[claim + 1 :])
    assert not any(call.startswith("output") for call in calls[:claim])


def test_a_crash_between_claim_and_publication_is_mended_by_running_again() -> None:
    world, _, _ = frozen()
    interference = Interference()
    run_task(PLAN, Process(PLAN, world, Limits(), interference).stores, EPOCH, "one")
    expected = {key: world.output.get(key) for key in keys(world.output, "totals", "dead-letters")}
    publications = [
        n for n, call in enumerate(interference.trace, 1) if call.startswith("output put_if_absent")
    ]
    assert len(publications) == 2
    for number in publications:
        world, _, _ = frozen()
        with pytest.raises(Crash):
            run_task(PLAN, Process(PLAN, world, Limits(), Interference(number)).stores, EPOCH, "dies")
        result = run_task(PLAN, world.stores, EPOCH, "mends")
        assert result.attempt == "dies"
        found = {key: world.output.get(key) for key in keys(world.output, "totals", "dead-letters")}
        assert found == expected


def test_output_of_somebody_else_is_not_taken_for_ours() -> None:
    world, _, _ = frozen()
    world.output.put(paths.output("totals", 1, 0, "json"), b"somebody else's\n")
    with pytest.raises(TidegateError, match="holds something else"):
        run_task(PLAN, world.stores, EPOCH, "one")
    assert world.output.get(paths.output("totals", 1, 0, "json")) == b"somebody else's\n"


def test_what_is_larger_than_its_room_is_an_object_of_its_own() -> None:
    """The smaller things around it are attached all the same, each at its place."""
    world, _, _ = frozen()
    whole = run_task(PLAN, world.stores, EPOCH, "one")
    state, output, dead = (
        sum(layer.length for segment in whole.segments for layer in segment.layers),
        *(each.staged.size for each in whole.outputs),
    )
    assert [each.staged.offset for each in whole.outputs] == [state, state + output]
    for attached, apart in (
        (state + output + dead, set()),
        (state + dead, {"output"}),
        (dead, {"state", "output"}),
    ):
        world, _, _ = frozen(attached=attached)
        found = run_task(PLAN, world.stores, EPOCH, "one")
        stored = {key.rsplit("-", maxsplit=1)[1].split(".")[0] for key in keys(world.state, "scores/data")}
        assert stored == apart
        assert [each.name for each in found.outputs] == [each.name for each in whole.outputs]
        for each in found.outputs:
            (data,) = world.state.get_ranges(each.staged.key, [(each.staged.offset, each.staged.size)])
            assert world.output.get(each.name) == data


def test_the_tasks_of_a_stage_share_the_room() -> None:
    """So that whoever reads all of their results reads no more, however many they are."""
    sizes = []
    for tasks in (1, 2):
        limits = Limits(small=0, task_bytes=1, tasks=tasks) if tasks > 1 else Limits()
        world, process, record = frozen(limits, attached=3_000)
        todo = process.coordinator.tasks(record, State.MAP if tasks > 1 else State.EPOCH)
        process.invoker.run(todo)
        results = [result_key("scores", task) for task in todo]
        attached = [len(TaskResult.decode(key, world.state.get(key)).attached) for key in results]
        assert len(attached) == tasks
        assert max(attached) <= 3_000 // tasks
        sizes.append(sum(attached))
    assert min(sizes) > 0


def test_attempts_share_no_data_object() -> None:
    world, process, record = frozen(FANNED_OUT, attached=0)
    tasks = process.coordinator.tasks(record, State.MAP)
    for task in tasks:
        for attempt in ("one", "two"):
            world.state.delete([result_key("scores", task)])
            run_task(PLAN, world.stores, task, attempt)
    data = keys(world.state, "scores/data")
    assert {key.replace("-one-", "-two-") for key in data if "-one-" in key} == {
        key for key in data if "-two-" in key
    }


def test_a_reduce_task_waits_for_every_map_task() -> None:
    world, process, record = frozen(FANNED_OUT)
    run_task(PLAN, world.stores, process.coordinator.tasks(record, State.MAP)[0], "one")
    with pytest.raises(ObjectNotFound, match="map-00001"):
        run_task(PLAN, world.stores, Task(1, "reduce", 0), "one")


def test_a_task_of_an_epoch_that_is_not_frozen() -> None:
    world, _, _ = frozen()
    with pytest.raises(ObjectNotFound, match="0000000002/record"):
        run_task(PLAN, world.stores, Task(2, "epoch", 0), "one")


@pytest.mark.parametrize("layout", [Limits(), FANNED_OUT], ids=["small", "large"])
def test_every_damaged_object_is_named_and_nothing_is_committed(layout: Limits) -> None:
    """Each object of the state, damaged before the work that reads it."""
    whole = World(attached=0)
    Process(PLAN, whole, layout).run(WAVES[:1], close=False)
    data = sorted(key for key in keys(whole.state, "scores/data") if key.endswith("state.layers"))
    assert data
    for key in [*data, paths.manifest("scores", 1)]:
        world = whole.copy()
        world.state.put(key, damaged(world.state.get(key)))
        process = Process(PLAN, world, layout)
        process.accept(WAVES[1], NOON)
        with pytest.raises(CorruptObject, match=key):
            drive(process.coordinator, process.invoker, close=True)
        assert world.table.get(paths.HEAD) == whole.table.get(paths.HEAD)


def test_a_damaged_shuffle_object_is_named() -> None:
    world, process, record = frozen(FANNED_OUT, attached=0)
    process.invoker.run(process.coordinator.tasks(record, State.MAP))
    (key, *_) = sorted(key for key in keys(world.state, "scores/data") if "shuffle" in key)
    for place in (0, len(world.state.get(key)) // 2, -1):
        good = bytearray(world.state.get(key))
        bad = bytearray(good)
        bad[place] ^= 1
        world.state.put(key, bytes(bad))
        with pytest.raises(CorruptObject, match=key):
            process.invoker.run(process.coordinator.tasks(record, State.REDUCE))
        world.state.put(key, bytes(good))


def test_a_damaged_result_is_named() -> None:
    world, process, record = frozen(FANNED_OUT)
    tasks: Sequence[Task] = process.coordinator.tasks(record, State.MAP)
    process.invoker.run(tasks)
    key = result_key("scores", tasks[0])
    world.state.put(key, damaged(world.state.get(key)))
    with pytest.raises(CorruptObject, match=key):
        process.invoker.run(tasks)


def test_damaged_staged_output_is_not_published() -> None:
    world, _, _ = frozen()
    result = run_task(PLAN, world.stores, EPOCH, "one")
    published = result.outputs[0]
    world.output.delete([published.name])
    world.state.put(published.staged.key, damaged(world.state.get(published.staged.key)))
    with pytest.raises(CorruptObject, match=published.staged.key):
        run_task(PLAN, world.stores, EPOCH, "two")
    assert published.name not in keys(world.output, "totals")


def test_the_layout_changes_neither_panes_nor_state() -> None:
    found = []
    for limits in (Limits(), FANNED_OUT, Limits(small=0, task_bytes=1, tasks=2)):
        world = World()
        Process(PLAN, world, limits).run(WAVES)
        rest = remains(PLAN, world)
        found.append((sorted(panes(world), key=repr), rest.state, rest.manifest["totals"]["elements"]))
    assert found[0] == found[1] == found[2]


def test_the_number_of_tasks_may_change_in_every_epoch() -> None:
    expected = World()
    Process(PLAN, expected, Limits()).run(WAVES)
    world = World()
    for number, limits in enumerate((FANNED_OUT, Limits(), Limits(small=0, task_bytes=1, tasks=5)), start=1):
        Process(PLAN, world, limits).run(WAVES[:number], close=number == 3)
    assert sorted(panes(world), key=repr) == sorted(panes(expected), key=repr)


def test_ranges_with_nothing_new_and_nothing_due_are_left_alone() -> None:
    world = World()
    process = Process(PLAN, world, Limits(small=0, task_bytes=1, tasks=40))
    process.accept(tuple((f"scores/{n}.json", WAVES[1][0][1]) for n in range(6)), NOON)
    record = process.coordinator.plan()
    assert record is not None
    drive(process.coordinator, process.invoker)
    ran = {key for key in keys(world.state, "scores/epochs") if "/reduce-" in key}
    assert 0 < len(ran) <= 2 < len(record.layout.ranges), "there are two teams"
    idle = next(n for n in range(40) if result_key("scores", Task(1, "reduce", n)) not in ran)
    result = run_task(PLAN, world.stores, Task(1, "reduce", idle), "nobody asked for it")
    assert result.unchanged
    assert not result.segments
