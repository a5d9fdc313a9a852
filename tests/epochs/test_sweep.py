from tests.epochs.scenario import (
    EARLY_AND_LATE,
    NOON,
    SECOND,
    Process,
    Wave,
    World,
    compiled,
    lines,
    panes,
    remains,
)
from tidegate.epochs import paths, sweep
from tidegate.epochs.record import Limits

PLAN = compiled(trigger=EARLY_AND_LATE)
WAVES: tuple[Wave, ...] = (
    tuple((f"scores/first-{n}.json", lines(*((f"team{n}{k}", 1, k) for k in range(10)))) for n in range(3)),
    *(
        tuple((f"scores/{n:02}-{part}.json", lines(("team00", 1, n))) for part in range(3))
        for n in range(sweep.EPOCHS_KEPT + 6)
    ),
)
"""Many keys at first, and then the same one in every epoch."""


def test_a_sweep_after_every_epoch_changes_no_answer() -> None:
    """The windows of the first epoch stay open all the time, and most of their segments are its own."""
    plan = compiled(trigger=EARLY_AND_LATE, delay="20h")
    limits = Limits(small=0, task_bytes=1)
    expected, world = World(), World()
    Process(plan, expected, limits).run(WAVES)
    removed = 0
    for number in range(1, len(WAVES) + 1):
        Process(plan, world, limits).run(WAVES[:number], close=False)
        manifest = Process(plan, world, limits).coordinator.manifest()
        assert manifest is not None
        removed += sweep.sweep(world.state, manifest, NOON)
        oldest = min(paths.epoch_of(segment.ref.key) for segment in manifest.segments)
        assert oldest == 1
    Process(plan, world, limits).run(WAVES)
    assert removed > 10
    assert panes(world) == panes(expected)
    assert remains_of_output(world) == remains_of_output(expected)


def remains_of_output(world: World) -> dict[str, bytes]:
    return {info.key: world.output.get(info.key) for info in world.output.list("totals")}


def test_recent_epochs_and_young_objects_stay() -> None:
    world = World()
    Process(PLAN, world, Limits()).run(WAVES[: sweep.EPOCHS_KEPT], close=False)
    manifest = Process(PLAN, world, Limits()).coordinator.manifest()
    assert manifest is not None
    before = remains(PLAN, world)
    assert sweep.sweep(world.state, manifest, NOON) == 0
    Process(PLAN, world, Limits()).run(WAVES[: sweep.EPOCHS_KEPT + 2], close=False)
    manifest = Process(PLAN, world, Limits()).coordinator.manifest()
    assert manifest is not None
    # Objects in memory are as old as can be: 0.
    assert sweep.sweep(world.state, manifest, 0) == 0
    assert sweep.sweep(world.state, manifest, SECOND) > 0
    kept = {paths.epoch_of(info.key) for info in world.state.list("scores/epochs")}
    assert kept == set(range(manifest.epoch - sweep.EPOCHS_KEPT + 1, manifest.epoch + 1))
    assert before.head[0] == sweep.EPOCHS_KEPT
