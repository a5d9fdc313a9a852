"""One run: a scenario, a seed, and all oracles."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random

from tidegate.epochs.intake import waiting
from tidegate.plan import Plan
from tidegate.testing.simulation.cloud import Cloud, Settings
from tidegate.testing.simulation.faults import GENTLE, HARMLESS, HOUR, MINUTE, Chaos, Faults
from tidegate.testing.simulation.oracles import Watch
from tidegate.testing.simulation.ports import Step, Universe
from tidegate.testing.simulation.scheduler import SECOND, Livelock, Scheduler
from tidegate.testing.simulation.state_machine import Definition

TURNS = 40_000
"""Turns after which a run counts as one that never ends; a usual one has some hundred to some thousand."""

START = 1_750_000_000_000_000
"""When a run begins, microseconds since 1970."""


@dataclass(frozen=True)
class Upload:
    """A file that arrives.

    Attributes:
        after: How long after the one before, microseconds.
        behind_commit: Whether it arrives just after an epoch was committed, when the coordinator is about to
            go idle; `after` counts from then.
    """

    after: int
    key: str
    data: bytes
    behind_commit: bool = False


@dataclass(frozen=True)
class Scenario:
    """What is deployed and what arrives.

    Attributes:
        plan: The deployed pipeline's.
        rebuilt: The same pipeline in another build.
        incompatible: A pipeline of the same name whose state has another meaning.
        settings: Of the deployment.
        uploads: What arrives, in order, while things go wrong.
        flush: What arrives at last, when all is well again, a file for each source; far enough ahead to end
            all windows.
        repeatable: Whether the pipeline's own functions give the same each time. If not, a replay gives
            other bytes, and yet each task has one result.
        replays: Behind which uploads, by their numbers, somebody replays the deployed pipeline.
        changes: Whether with the first replay the incompatible pipeline takes the place of the deployed one.
    """

    plan: Plan
    rebuilt: Plan
    incompatible: Plan
    settings: Settings
    uploads: Sequence[Upload]
    flush: Sequence[Upload]
    repeatable: bool = True
    replays: Sequence[int] = ()
    changes: bool = False


@dataclass
class Run:
    """What a run did.

    Attributes:
        cloud: As it is at the end.
        watch: What was committed.
        violations: The promises that were broken; empty if all held.
        happened: How often each fault happened.
        turns: Turns of the scheduler.
    """

    seed: str
    faults: Faults
    cloud: Cloud
    watch: Watch
    violations: list[str]
    happened: dict[str, int]
    turns: int

    @property
    def steps(self) -> list[Step]:
        """The history."""
        return self.cloud.universe.steps

    def digest(self) -> str:
        """The same for two runs only if they went the same way and left the same."""
        hashed = blake2b(digest_size=16)
        hashed.update(repr([(e.moment, e.process, e.what, e.outcome) for e in self.steps]).encode())
        for bucket in (self.cloud.input, self.cloud.state, self.cloud.output):
            hashed.update(repr(sorted(bucket.history.items())).encode())
        hashed.update(repr(self.cloud.table.query("", 100_000)).encode())
        return hashed.hexdigest()


@dataclass
class Simulation:
    """A run at work.

    Args:
        seed: Decides everything that the scenario leaves open.
        scenario: What is deployed and what arrives.
        faults: What may go wrong.
        definition: Of the state machine.
    """

    seed: str
    scenario: Scenario
    faults: Faults
    definition: Definition
    _universe: Universe = field(init=False)

    def run(self) -> Run:
        """Runs until nothing is left to do, heals everything, runs again, and asks the oracles."""
        scenario, chaos = self.scenario, Chaos(self.seed, self.faults)
        scheduler = Scheduler(Random(f"{self.seed}/turns"), START, TURNS)  # noqa: S311  (repeatable, not secret)
        universe = self._universe = Universe(scheduler, chaos)
        cloud = Cloud(
            universe,
            self.definition,
            scenario.plan,
            scenario.rebuilt,
            scenario.incompatible,
            scenario.settings,
        )
        watch = Watch(cloud)
        try:
            self._disturbed(cloud, watch)
            self._healed(cloud, watch)
        except Livelock as error:
            universe.violated(str(error))
        else:
            watch.check_end()
            if not set(self.faults.on) - HARMLESS:
                watch.check_promptness()
            # A replay refuses the commit that it overtakes.
            if not set(self.faults.on) - GENTLE and not scenario.replays:
                watch.check_nothing_failed()
            if scenario.repeatable:
                watch.replay()
        return Run(
            self.seed, self.faults, cloud, watch, universe.violations, dict(chaos.happened), scheduler.turns
        )

    def _disturbed(self, cloud: Cloud, watch: Watch) -> None:
        universe, scheduler = self._universe, self._universe.scheduler

        def replay() -> None:
            if scheduler.wait(lambda: cloud.head is not None, at_most=10 * MINUTE):
                wait = universe.chaos.stream("replays").choice((0, 2, 20, None, None))
                if wait is None:
                    # Just when an epoch is about to be committed.
                    scheduler.wait(lambda: cloud.is_committing, at_most=2 * MINUTE)
                else:
                    scheduler.sleep(wait * SECOND)
                changes = self.scenario.changes and cloud.plan is self.scenario.plan
                cloud.operator_replays(self.scenario.incompatible if changes else cloud.plan)

        def upload_all() -> None:
            for number, each in enumerate(self.scenario.uploads):
                if each.behind_commit:
                    committed = len(watch.manifests)
                    scheduler.wait(lambda: len(watch.manifests) > committed, at_most=10 * MINUTE)  # noqa: B023
                scheduler.sleep(each.after)
                cloud.upload(each.key, each.data, at_once=each.behind_commit)
                if universe.chaos.strikes("second_coordinator"):
                    cloud.operator_starts()
                if number in self.scenario.replays:
                    scheduler.spawn(f"operator of upload {number}", replay)

        scheduler.spawn("uploader", upload_all)
        scheduler.spawn("reader", watch.read_along)
        scheduler.run()
        left = waiting(cloud.table, 1_000)
        if cloud.broken:
            # What an execution leaves that broke waits for somebody; what came afterwards does not. Which is
            # which cannot be told where clocks are wrong.
            left = [each for each in left if each.moment > cloud.broken_at and not self.faults.skew]
        if left and not cloud.given_up:
            universe.violated(f"a wake-up was lost: nothing runs, and {len(left)} objects wait")
        # An alarm that somebody set whose clock is wrong may come before its time by the other clocks.
        excused = cloud.broken or cloud.given_up or self.faults.skew
        if cloud.head and cloud.head.alarm <= scheduler.moment and not excused:
            universe.violated("an alarm was lost: nothing runs, and its moment is past")

    def _healed(self, cloud: Cloud, watch: Watch) -> None:
        universe, scheduler = self._universe, self._universe.scheduler
        universe.chaos.heal()
        universe.note("oracle", "all faults end")
        # Past every lease, and past the time for the next listing.
        scheduler.moment += 3 * HOUR
        broken = len(cloud.broken)
        scheduler.spawn("operator", cloud.operator_starts)
        scheduler.run()

        def flush() -> None:
            for each in self.scenario.flush:
                cloud.upload(each.key, each.data)

        scheduler.spawn("uploader", flush)
        scheduler.spawn("reader", watch.read_along)
        scheduler.run()
        if len(cloud.broken) > broken:
            universe.violated(f"with no fault left these failed: {cloud.broken[broken:]}")
