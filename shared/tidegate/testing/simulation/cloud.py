"""The simulated services around the functions: uploads, their events, invocations, executions."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.epochs import paths
from tidegate.epochs.action import HOUSEKEEPING
from tidegate.epochs.generation import generation_of
from tidegate.epochs.head import Head
from tidegate.epochs.layout import Limits
from tidegate.epochs.machine import Event
from tidegate.epochs.result import Task
from tidegate.epochs.tasks import TaskStores, run_task
from tidegate.errors import TidegateError
from tidegate.plan import Plan
from tidegate.runtime.control_plane import Answer, ControlPlane
from tidegate.runtime.meter import Meter
from tidegate.runtime.notifications import Alarm, Upload
from tidegate.runtime.small_epoch import SmallEpochs
from tidegate.stores.memory import MemoryTable
from tidegate.testing.faults import Crash
from tidegate.testing.simulation.faults import HOUR, MINUTE
from tidegate.testing.simulation.ports import (
    Bucket,
    Line,
    SimulatedAlarms,
    SimulatedClock,
    SimulatedObjects,
    SimulatedTable,
    Universe,
)
from tidegate.testing.simulation.scheduler import SECOND, Process
from tidegate.testing.simulation.state_machine import Definition, StateFailed, StateMachine

TIMEOUTS = {"map": 5 * MINUTE, "reduce": 5 * MINUTE, "epoch": 5 * MINUTE, "sweep": 5 * MINUTE}
"""How long a function may run; all others half a minute."""

RECEIVES = 5
"""How often a message is handed out before it is given up."""

VISIBILITY = 3 * MINUTE
"""How long a message stays hidden that a function failed on."""

EARLY_ALARMS = 3
"""Alarms that come early in a run at most: each is set anew, and hundreds would go off at one moment."""

WIDE = "has a stage for a Distributed Map"
"""What the history says of such an answer of the plan function."""

OPERATOR = "operator"
"""Who replays a pipeline: somebody at a terminal, with rights of their own."""

Message = Upload | Alarm


@dataclass(frozen=True)
class Settings:
    """What a deployment is given.

    Attributes:
        limits: One of them for each process that starts.
        swept_after: How old an object must be before it is swept, microseconds.
        swept_every: How often, at most, old epochs are swept, microseconds.
        epochs_kept: Epochs before the head that are not swept.
        attached: Bytes that the results of a stage hold themselves, at most.
        inline_tasks: Tasks of a stage up to which it is an inline Map.
    """

    limits: Sequence[Limits]
    swept_after: int
    swept_every: int
    epochs_kept: int
    attached: int
    inline_tasks: int


@dataclass
class Cloud:
    """A deployment of a pipeline in a universe of its own.

    Args:
        universe: The clock, the faults, the history.
        definition: Of the state machine.
        plan: The deployed pipeline's.
        rebuilt: The same pipeline in another build.
        incompatible: A pipeline of the same name whose state has another meaning.
        settings: Of the deployment.

    Attributes:
        broken: Executions that failed, or were stopped.
        broken_at: When the last of them did, microseconds.
        given_up: Events that every intake failed on; a queue for dead letters keeps them, and an alarm tells.
        committed: Is called whenever the head moved.
    """

    universe: Universe
    definition: Definition
    plan: Plan
    rebuilt: Plan
    incompatible: Plan
    settings: Settings
    input: Bucket = field(default_factory=lambda: Bucket("input"))
    state: Bucket = field(default_factory=lambda: Bucket("state"))
    output: Bucket = field(default_factory=lambda: Bucket("output"))
    table: MemoryTable = field(default_factory=MemoryTable)
    broken: list[str] = field(default_factory=list)
    broken_at: int = 0
    given_up: list[str] = field(default_factory=list)
    committed: Callable[[Head], None] = lambda head: None
    _executions: dict[str, Process] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._fingerprints = {
            id(each): each.fingerprint() for each in (self.plan, self.rebuilt, self.incompatible)
        }

    @property
    def head(self) -> Head | None:
        """The head as it is."""
        row = self.table.get(paths.HEAD)
        return None if row is None else Head.of(row)

    @property
    def is_committing(self) -> bool:
        """Whether the manifest is there of the epoch behind the head."""
        return (
            self.head is not None
            and paths.manifest(self.plan.name, self.head.epoch + 1) in self.state.current
        )

    # What happens outside of the system

    def upload(self, key: str, data: bytes, *, at_once: bool = False) -> None:
        """Somebody uploads an object; its events come, or not; within seconds, or at once."""
        chaos, universe = self.universe.chaos, self.universe
        stored = self.input.put(key, data, universe.scheduler.moment)
        universe.note("uploader", f"uploads {key}", stored.version)
        message = Upload("input", key, stored.version, len(data))
        if chaos.strikes("lost_event"):
            universe.note("uploader", f"event of {key}", "lost")
            return
        copies = 1 + (chaos.stream("copies").randint(1, 4) if chaos.strikes("duplicate_event") else 0)
        for _ in range(copies):
            chance = chaos.stream("delays")
            delay = chance.randrange(SECOND // 20 if at_once else 3 * SECOND)
            if chaos.strikes("late_event"):
                delay = chance.randrange(2 * HOUR)
            universe.scheduler.spawn(self._name("event"), lambda: self._deliver(message), after=delay)

    def operator_starts(self) -> None:
        """Somebody starts an execution by hand."""
        self._start(f"by-hand-{self._number('by-hand')}")

    def operator_replays(self, plan: Plan) -> None:
        """Somebody deploys a pipeline, maybe another one, and replays it, until that is begun."""
        if plan is not self.plan:
            self.plan, self.rebuilt, self.incompatible = plan, plan, self.plan

        def run() -> None:
            while True:
                try:
                    self._invoke(OPERATOR, {})
                except StateFailed:
                    self.universe.scheduler.sleep(MINUTE)
                else:
                    return

        self.universe.scheduler.spawn(self._name("replay"), run)

    # Queue, invocations, executions

    def _alarm(self, moment: int, delay: int) -> None:
        """A message that is delayed; it may come late, early or several times."""
        chaos = self.universe.chaos
        copies = 1 + (chaos.stream("rings").randint(1, 2) if chaos.strikes("duplicate_alarm") else 0)
        for _ in range(copies):
            chance, after = chaos.stream("ringing"), delay
            if chaos.strikes("early_alarm") and self._number("early alarm") < EARLY_ALARMS:
                after = chance.randrange(delay + 1)
            elif chaos.strikes("late_alarm"):
                after += chance.randrange(HOUR)
            self.universe.scheduler.spawn(
                self._name("alarm"), lambda: self._deliver(Alarm(moment)), after=after
            )

    def _deliver(self, message: Message) -> None:
        scheduler = self.universe.scheduler
        for _ in range(RECEIVES):
            try:
                self._invoke("intake", {"messages": [message]})
            except StateFailed:
                scheduler.sleep(VISIBILITY)
            else:
                return
        self.universe.note(scheduler.current.name, f"event of {message}", "given up")
        self.given_up.append(f"{message}")

    def _start(self, name: str) -> bool:
        if name in self._executions:
            return self._executions[name].alive
        chaos, scheduler = self.universe.chaos, self.universe.scheduler

        def run() -> None:
            machine = StateMachine(
                self.definition, scheduler, chaos.stream("jitter"), f"arn:{name}", self._invoke
            )
            self.universe.note(process.name, "begins")
            try:
                machine.run({})
            except StateFailed as error:
                self._breaks(name)
                self.universe.note(process.name, "fails", str(error))
            else:
                self.universe.note(process.name, "ends")

        process = self._executions[name] = scheduler.spawn(f"execution {name}", run)
        if chaos.strikes("abort"):
            scheduler.spawn(
                self._name("abort"),
                lambda: self._abort(process),
                after=chaos.stream("aborts").randrange(MINUTE),
            )
        return True

    def _breaks(self, execution: str) -> None:
        self.broken.append(execution)
        self.broken_at = self.universe.scheduler.moment

    def _abort(self, execution: Process) -> None:
        if execution.alive:
            self._breaks(execution.name)
            self.universe.note(execution.name, "is stopped")
            self.universe.scheduler.kill(execution)

    def _invoke(self, function: str, payload: dict[str, Any]) -> Any:
        """Invokes a function and waits for its answer.

        Raises:
            StateFailed: It failed, took too long, or its answer was lost.
        """
        chaos, scheduler = self.universe.chaos, self.universe.scheduler
        timeout = TIMEOUTS.get(function, 30 * SECOND)
        process = self._spawn(function, payload, timeout)
        if chaos.strikes("duplicate_call"):
            self._spawn(function, payload, timeout)
        patience = (
            chaos.stream("patience").randrange(20 * SECOND) if chaos.strikes("lost_answer") else timeout
        )
        if not scheduler.wait(lambda: not process.alive, at_most=patience):
            if patience < timeout:
                self.universe.note(process.name, "its answer is lost")
                raise StateFailed("Lambda.SdkClientException", process.name)
            scheduler.kill(process)
            raise StateFailed("Sandbox.Timedout", process.name)
        if process.error is not None:
            raise StateFailed(type(process.error).__name__, str(process.error))
        return json.loads(json.dumps(process.result))

    def _spawn(self, function: str, payload: dict[str, Any], timeout: int) -> Process:
        chaos, scheduler = self.universe.chaos, self.universe.scheduler
        skew = chaos.stream("clocks").randrange(-HOUR, HOUR) if chaos.strikes("skew") else 0
        limits = self.settings.limits[0]
        if chaos.strikes("layouts"):
            limits = chaos.stream("limits").choice(self.settings.limits)
        plan = self.plan
        head = self.head
        if head and head.epoch and function != OPERATOR and chaos.strikes("upgrade"):
            plan = chaos.stream("versions").choice((self.rebuilt, self.incompatible))

        def run() -> Answer:
            line = Line(self.universe, process, function, scheduler.moment + timeout)
            # Of its own lease even then: else nobody could go on before it runs out.
            fits = self._is_of_state(plan) or payload.get("action") == "release" or function == OPERATOR
            # And of an epoch of an older generation, to which its plan belongs.
            fits |= "stage" in payload and self._is_of_older(payload["epoch"])
            line.may_write = lambda: fits or self._is_of_state(plan)
            try:
                return self._handle(function, payload, line, plan, limits)
            except (TidegateError, Crash) as error:
                self.universe.note(process.name, "fails", type(error).__name__)
                raise
            except Exception as error:
                self.universe.violated(f"{process.name} raised {error!r}")
                raise

        process = scheduler.spawn(self._name(function), run, skew=skew, may_fail=True)
        return process

    def _is_of_state(self, plan: Plan) -> bool:
        """Whether the state belongs to a plan, or to none."""
        return self.head is None or self.head.fingerprint == self._fingerprints[id(plan)]

    def _is_of_older(self, epoch: int) -> bool:
        return self.head is not None and generation_of(epoch) < generation_of(self.head.epoch)

    def _handle(
        self, function: str, payload: dict[str, Any], line: Line, plan: Plan, limits: Limits
    ) -> Answer:
        """What the handlers in `functions/` do with an event."""

        def meter() -> Meter:
            return Meter(cpu=lambda: 0, wall=lambda: self.universe.scheduler.moment * 1_000)

        measured, attempt = meter(), line.process.name.replace(" ", "-")
        stores = measured.stores(
            TaskStores(
                SimulatedObjects(self.input, line, versioned=True),
                SimulatedObjects(self.state, line),
                SimulatedObjects(self.output, line),
                self.settings.attached,
            )
        )
        if function in ("map", "reduce"):
            task = Task(payload["epoch"], payload["stage"], payload["task"])
            run_task(plan, stores, task, attempt, measured)
            return payload
        control = ControlPlane(
            outline=plan.outline(),
            table=SimulatedTable(self.table, line, self._changed),
            state=SimulatedObjects(self.state, line),
            output=SimulatedObjects(self.output, line),
            uploads=SimulatedObjects(self.input, line, versioned=True),
            input_bucket="input",
            limits=limits,
            clock=SimulatedClock(line),
            alarms=SimulatedAlarms(line, self._alarm),
            start=lambda name: line.call("machine", "start", name, lambda: self._start(name)),
            swept_after=self.settings.swept_after,
            epochs_kept=self.settings.epochs_kept,
            housekeeping={**HOUSEKEEPING, Event.UNSWEPT: self.settings.swept_every},
            inline_tasks=self.settings.inline_tasks,
            meter=meter,
        )
        if function == OPERATOR:
            return {"epoch": control.replay().epoch}
        if function == "intake":
            control.check()
            for message in payload["messages"]:
                control.receive(message)
            control.wake()
            return {}
        if function == "plan":
            if payload["action"] == "release":
                return control.release(payload["execution"])
            if payload["action"] == "stage":
                wanted = ("execution", "epoch", "stage", "later", "history")
                return self._noted(line, control.next_stage(*(payload[name] for name in wanted)))
            return self._noted(line, control.plan(payload["execution"], payload["history"]))
        if function == "epoch":
            return SmallEpochs(plan, stores, measured).run(control, payload["epoch"], attempt)
        if function == "commit":
            return control.commit(payload["epoch"])
        return control.reconcile() if function == "reconcile" else control.sweep()

    def _noted(self, line: Line, answer: Answer) -> Answer:
        for stage in ("map", "reduce"):
            if f"wide_{stage}" in answer:
                self.universe.note(line.process.name, WIDE, stage)
        return answer

    def _changed(self, keys: Sequence[str]) -> None:
        if paths.HEAD in keys and self.head is not None:
            self.committed(self.head)

    def _name(self, kind: str) -> str:
        return f"{kind} {self._number(kind)}"

    def _number(self, kind: str) -> int:
        self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return self._numbers[kind]
