"""What must hold in every run, whatever its pipeline is."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tidegate.epochs import paths
from tidegate.epochs.costs import Costs
from tidegate.epochs.generation import beginning, generation_of, number_of
from tidegate.epochs.head import Head
from tidegate.epochs.intake import waiting
from tidegate.epochs.manifest import Manifest, build_manifest, read_manifest
from tidegate.epochs.record import EpochRecord
from tidegate.epochs.reduce_stage import results_of
from tidegate.epochs.result import Task, TaskResult, holds_result, read_results, result_key
from tidegate.epochs.tasks import TaskStores, run_task
from tidegate.errors import ObjectNotFound, TidegateError
from tidegate.frontier import UnionFrontier
from tidegate.limits import LEASE
from tidegate.references import checksum
from tidegate.stores.ports import InTurn, ObjectInfo
from tidegate.testing.simulation.cloud import Cloud
from tidegate.testing.simulation.ports import Bucket
from tidegate.testing.simulation.scheduler import SECOND

PROMPT = LEASE // 2
"""How long an accepted object may wait where no process fails, microseconds."""


_EPOCH_OF_OUTPUT = re.compile("/epoch-([0-9]{10})-")

REPLAYED = "a replay is begun"
CUT_UP = "a file is cut up"
ALL_HELD = "all sources of a union are held"
"""What the history says of an epoch after which each source has a watermark that waits for a backlog."""


class Archive(InTurn):
    """A bucket's objects, also those that were removed, and what is written beside them.

    Args:
        bucket: The bucket, which stays as it is.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.written: dict[str, bytes] = {}

    def get(self, key: str, version: str | None = None) -> bytes:
        """See `Objects.get`."""
        if key in self.written:
            return self.written[key]
        for each in self._bucket.history.get(key, ()):
            if version in (None, each.version):
                return each.data
        raise ObjectNotFound(f"there never was an object {key!r}")

    def get_ranges(
        self, key: str, ranges: Sequence[tuple[int, int]], version: str | None = None
    ) -> list[bytes]:
        """See `Objects.get_ranges`."""
        return [self.get(key, version)[offset : offset + length] for offset, length in ranges]

    def metadata(self, key: str, version: str | None = None) -> Mapping[str, str]:
        """See `Objects.metadata`; nobody gives any here."""
        self.get(key, version)
        return {}

    def put(self, key: str, data: bytes) -> None:
        """See `Objects.put`."""
        self.written[key] = data

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """See `Objects.put_if_absent`."""
        return self.written.setdefault(key, data) is data

    def list(self, folder: str) -> Iterable[ObjectInfo]:
        """See `Objects.list`."""
        keys = sorted({*self._bucket.history, *self.written})
        return [ObjectInfo(each, 0, "", 0) for each in keys if each.startswith(f"{folder}/")]

    def delete(self, keys: Sequence[str]) -> None:
        """See `Objects.delete`; no task removes anything."""
        raise NotImplementedError


@dataclass
class Watch:
    """Looks at every move of the head, in the very moment, and checks the whole at the end.

    Attributes:
        cloud: The deployment.
        manifests: What was committed, in order; of the last generation.
        moments: When each of them was.
        older: What older generations committed.
        generation: The last generation.
        repeats: How many epochs of an older generation this one repeats.
    """

    cloud: Cloud
    manifests: list[Manifest] = field(default_factory=list)
    moments: list[int] = field(default_factory=list)
    older: list[Manifest] = field(default_factory=list)
    generation: int = 1
    repeats: int = 0

    def __post_init__(self) -> None:
        self.cloud.committed = self._committed

    @property
    def records(self) -> list[EpochRecord]:
        """The records of the committed epochs."""
        return [self._record(each) for each in self.manifests]

    def _committed(self, head: Head) -> None:
        violated = self.cloud.universe.violated
        if generation_of(head.epoch) != self.generation:
            self._begin(head)
            return
        known = len(self.manifests)
        if number_of(head.epoch) not in (known, known + 1):
            violated(f"the head went from epoch {known} to {head.epoch}")
        if number_of(head.epoch) != known + 1:
            return
        key, named = head.manifest
        stored = self.cloud.state.current.get(key)
        if stored is None or checksum(stored.data) != named:
            violated(f"the head names {key}, which is not there, or is not what the head says")
            return
        manifest = Manifest.decode(key, stored.data)
        self._check_costs(manifest)
        self.manifests.append(manifest)
        self.moments.append(self.cloud.universe.scheduler.moment)
        frontier = manifest.frontier
        if isinstance(frontier, UnionFrontier) and all(each.held for each in frontier.sources.values()):
            self.cloud.universe.note("oracle", ALL_HELD)
        slices = self._record(manifest).layout.slices
        if any(split.start for each in slices for split in each):
            self.cloud.universe.note("oracle", CUT_UP)
        published = self._published(head.epoch)
        if set(published) != set(manifest.outputs):
            violated(f"epoch {head.epoch} names {manifest.outputs}, and its tasks' results {list(published)}")
        for name, staged in published.items():
            output = self.cloud.output.current.get(name)
            if output is None or checksum(output.data) != staged:
                violated(f"epoch {head.epoch} is committed, and {name} is not there, or not of the winner")
        self.check_state()

    def _begin(self, head: Head) -> None:
        """A replay was begun: all that was committed is to be done again."""
        if generation_of(head.epoch) != self.generation + 1 or not head.begins:
            self.cloud.universe.violated(f"the head went from generation {self.generation} to {head.epoch}")
        if head.repeats not in [each.epoch for each in (*self.manifests[-1:], *self.older)]:
            self.cloud.universe.violated(f"{head.repeats} is to be repeated, and is not the last epoch")
        self.cloud.universe.note("oracle", REPLAYED)
        self.generation, self.repeats = self.generation + 1, number_of(head.repeats)
        self.older += self.manifests
        self.manifests, self.moments = [], []

    def _check_costs(self, manifest: Manifest) -> None:
        """Each stage is counted once, and the totals go on from the epoch before."""
        costs, violated = manifest.costs, self.cloud.universe.violated
        before = self.manifests[-1].costs if self.manifests else Costs()
        for stage, counts in costs.stages.items():
            if Counter(costs.totals[stage]) != Counter(before.totals.get(stage, {})) + Counter(counts):
                violated(f"the costs of {stage} in epoch {manifest.epoch} are not added to the total")
        if costs.epochs != number_of(manifest.epoch):
            violated(f"{costs.epochs} epochs were counted at epoch {manifest.epoch}")

    def _published(self, epoch: int) -> dict[str, str]:
        """The output names of an epoch's task results, each with the checksum of what the winner staged."""
        folder = paths.record(self.cloud.plan.name, epoch).removesuffix("record.json")
        results = [
            TaskResult.decode(key, stored.data)
            for key, stored in self.cloud.state.current.items()
            if key.startswith(folder) and holds_result(key, stored.data)
        ]
        return {each.name: each.staged.checksum for result in results for each in result.outputs}

    def check_state(self) -> None:
        """The state that the head names is there, and that of the epochs that the sweep keeps."""
        current = self.cloud.state.current
        for manifest in self.manifests[-self.cloud.settings.epochs_kept :]:
            for layer in manifest.layers:
                found = current.get(layer.key)
                data = found.data[layer.offset : layer.offset + layer.length] if found else b""
                if checksum(data) != layer.checksum:
                    self.cloud.universe.violated(
                        f"of epoch {manifest.epoch} the state {layer.key} is gone, or not what it was"
                    )

    def read_along(self) -> None:
        """A reader: follows the head slowly, and must find all that a manifest names.

        It may take as long as the sweep promises: some epochs, and until objects are old.
        """
        cloud, scheduler = self.cloud, self.cloud.universe.scheduler
        chance = cloud.universe.chaos.stream("reader")
        while scheduler.processes > 1:
            head = cloud.head
            if head is not None and not head.begins:
                began = scheduler.moment
                scheduler.sleep(chance.choice((0, SECOND, 600 * SECOND)))
                self._read(head, began)
            scheduler.sleep(chance.randrange(120) * SECOND)

    def _read(self, head: Head, began: int) -> None:
        cloud, scheduler = self.cloud, self.cloud.universe.scheduler
        key = head.manifest[0]
        now = cloud.head
        kept = now is not None and now.epoch - head.epoch < cloud.settings.epochs_kept
        if not kept and scheduler.moment - began >= cloud.settings.swept_after:
            return
        if key not in cloud.state.current:
            cloud.universe.violated(f"a reader of epoch {head.epoch} does not find {key}")
            return
        manifest = Manifest.decode(key, cloud.state.current[key].data)
        for layer in manifest.layers:
            if layer.key not in cloud.state.current:
                cloud.universe.violated(f"a reader of epoch {head.epoch} does not find {layer.key}")
        for name in manifest.outputs:
            if name not in cloud.output.current:
                cloud.universe.violated(f"a reader of epoch {head.epoch} does not find {name}")

    # At the end

    def check_end(self) -> None:
        """Nothing waits, nothing was lost or taken twice, and no output but the committed one is there."""
        cloud = self.cloud
        violated = cloud.universe.violated
        self.check_state()
        left = waiting(cloud.table, 1_000)
        if cloud.head and cloud.head.alarm <= cloud.universe.scheduler.moment:
            violated("an alarm's moment is past, and its epoch did not come")
        if left:
            violated(f"these were accepted and never processed: {[each.object.key for each in left]}")
        taken = Counter(
            (each.object.key, each.object.version) for record in self.records for each in record.inputs
        )
        uploaded = {(key, each.version) for key, all_ in cloud.input.history.items() for each in all_}
        if set(taken) != uploaded:
            violated(f"uploads that no epoch took, or inputs that nobody uploaded: {set(taken) ^ uploaded}")
        if taken and max(taken.values()) > 1:
            violated(f"taken by more than one epoch: {[key for key, n in taken.items() if n > 1]}")
        named = {name for each in (*self.older, *self.manifests) for name in each.outputs}
        told = {each for each in cloud.output.current if each.startswith(f"{paths.GENERATIONS}/")}
        found = {each for each in cloud.output.current if each not in told and not self._is_left_over(each)}
        if named != found:
            violated(f"output that no manifest names, or that is missing: {named ^ found}")
        self._check_told(told)

    def _is_left_over(self, output: str) -> bool:
        """Whether it is of the epoch that an older generation was at when a replay was begun."""
        epoch = int(_EPOCH_OF_OUTPUT.findall(output)[-1])
        generation = generation_of(epoch)
        committed = [each.epoch for each in self.older if generation_of(each.epoch) == generation]
        return generation < self.generation and epoch == max(committed, default=beginning(generation)) + 1

    def _check_told(self, told: set[str]) -> None:
        """Readers were told of the last generation, and not before it had repeated all that was."""
        last = paths.generation(self.cloud.plan.name, self.generation)
        if self.generation == 1 or last not in told:
            if told or self.generation > 1:
                self.cloud.universe.violated(f"at generation {self.generation} readers were told of {told}")
            return
        if self.cloud.output.current[last].modified < self.moments[self.repeats - 1]:
            self.cloud.universe.violated("readers were told of a generation before it was whole")

    def check_promptness(self) -> None:
        """Where no process fails, what was accepted is committed long before a lease runs out.

        A wake-up that is lost shows as this, for a coordinator that stands by mends it then.
        """
        for record, moment in [*zip(self.records, self.moments, strict=True)][self.repeats :]:
            for each in record.inputs:
                waited = moment - each.moment
                if waited > PROMPT:
                    self.cloud.universe.violated(f"{each.object.key} waited for {waited // SECOND} seconds")

    def check_nothing_failed(self) -> None:
        """Where work is only done twice, or by two at once, nobody gets an error for it."""
        universe = self.cloud.universe
        for step in [step for step in universe.steps if step.what == "fails"]:
            universe.violated(f"{step.process} failed with {step.outcome}, and nothing was wrong")

    def replay(self) -> None:
        """The committed records, one after the other and undisturbed, give the same bytes."""
        previous: Manifest | None = None
        for manifest in self.manifests:
            try:
                self._replay(self._record(manifest), previous, manifest)
            except TidegateError as error:
                self.cloud.universe.violated(f"epoch {manifest.epoch} cannot be replayed: {error!r}")
                return
            previous = manifest

    def _replay(self, record: EpochRecord, previous: Manifest | None, committed: Manifest) -> None:
        cloud = self.cloud
        named = read_manifest(Archive(cloud.state), record.previous)
        if named != previous:
            cloud.universe.violated(f"epoch {record.epoch} was not frozen on top of epoch {record.epoch - 1}")
        state, output = _without_results(cloud.state, record.epoch), Archive(Bucket("output"))
        stores = TaskStores(Archive(cloud.input), state, output)

        def again(tasks: Sequence[Task]) -> list[TaskResult]:
            for task in tasks:
                run_task(cloud.plan, stores, task, "replay")
            return read_results(state, [result_key(record.pipeline, each) for each in tasks])

        results = results_of(record, cloud.plan.rules, previous, again)
        replayed = build_manifest(record, cloud.plan.rules, previous, results)
        if _content(replayed) != _content(committed):
            cloud.universe.violated(
                f"epoch {record.epoch} replayed is {_content(replayed)}, and was {_content(committed)}"
            )
        for name in committed.outputs:
            if output.written.get(name) != cloud.output.current[name].data:
                cloud.universe.violated(f"{name} replayed holds something else")

    def _record(self, manifest: Manifest) -> EpochRecord:
        key = paths.record(manifest.pipeline, manifest.epoch)
        return EpochRecord.decode(key, self.cloud.state.history[key][0].data)


def _without_results(bucket: Bucket, epoch: int) -> Archive:
    """A store in which the tasks of an epoch have no results; those of others hold the state before it."""

    def stays(key: str) -> bool:
        return not paths.may_hold_result(key) or paths.epoch_of(key) != epoch

    return Archive(replace(bucket, history={key: all_ for key, all_ in bucket.history.items() if stays(key)}))


def _content(manifest: Manifest) -> Manifest:
    """A manifest without its costs and the places where attempts stored its state; checksums stay."""
    segments = [
        replace(each, layers=tuple(replace(layer, key="", offset=0) for layer in each.layers))
        for each in manifest.segments
    ]
    return replace(manifest.without_costs(), segments=tuple(segments))
