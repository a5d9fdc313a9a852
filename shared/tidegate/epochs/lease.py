"""The lease: keeps one coordinator of a pipeline at work, and lets it go idle without losing a wake-up.

A hint and not a guard: two coordinators at once waste work and break nothing (see `machine`).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.epochs import paths
from tidegate.errors import ConditionFailed
from tidegate.limits import LEASE
from tidegate.stores.ports import Add, Put, Row, Table, Value

_WAKE = "wake"

RECONCILED = "reconciled"
"""Noted under this name: the beginning of the last complete listing of the input."""

_ALARMS = "alarms"
"""The moments of the alarms that are set and did not go off, separated by blanks."""

_ALARMS_KEPT = 16
"""Alarms that are remembered; one that is forgotten goes off all the same, and may be set twice."""

_NEW: Row = {
    _WAKE: 0,
    "holder": "",
    "until": 0,
    "ended": "",
    "standby": "",
    "reconcile": 0,
    "reconcile_by": "",
    RECONCILED: 0,
    "sweep": 0,
    "sweep_by": "",
    _ALARMS: "",
}
"""The row with all its attributes, so that whoever changes it expects all of them."""

_REMEMBERED = 32
"""Coordinators that are remembered after they went idle.

A planning function that stalled may wake when its own execution has ended, and must not take the lease for
it, for nobody would run what it freezes. It lives for half a minute at most, and an execution for about a
second at least."""


@dataclass(frozen=True)
class Lease:
    """The coordinator's row.

    Attributes:
        wake: How often intake has called; it only grows.
        holder: Who coordinates, empty if nobody does.
        until: When the holder counts as lost, microseconds.
        row: The row as it was read, which a change expects to find.
    """

    wake: int
    holder: str
    until: int
    row: Row | None

    def moment(self, name: str) -> int:
        """When something was noted last, 0 if it never was."""
        return int((self.row or {}).get(name, 0))

    def is_held(self, now: int) -> bool:
        """Whether somebody coordinates who does not count as lost."""
        return bool(self.holder) and self.until > now

    def has_ended(self, holder: str) -> bool:
        """Whether a coordinator went idle lately; its execution is over."""
        return mark(holder) in str((self.row or {}).get("ended", "")).split()

    def was_noted_by(self, name: str, holder: str) -> bool:
        """Whether this coordinator noted something last."""
        return (self.row or {}).get(f"{name}_by", "") == mark(holder)

    @property
    def alarms(self) -> tuple[int, ...]:
        """The moments of the alarms that are set and did not go off."""
        return tuple(map(int, str((self.row or {}).get(_ALARMS, "")).split()))

    @property
    def standby(self) -> str:
        """Who said last that it stands by, empty if nobody did since one of them took the lease."""
        return str((self.row or {}).get("standby", ""))

    def remaining(self, now: int) -> int:
        """How long it is held at most, microseconds; whatever the holder's clock said."""
        return min(max(self.until - now, 0), LEASE) if self.holder else 0


def wake(table: Table) -> Lease:
    """Announces accepted objects; afterwards a coordinator must be started unless the lease is held."""
    if read(table).row is None:
        try:
            table.write(Put(paths.COORDINATOR, {**_NEW, _WAKE: 1}))
            return read(table)
        except ConditionFailed:
            pass
    table.write(Add(paths.COORDINATOR, _WAKE, 1))
    return read(table)


def acquire(table: Table, holder: str, now: int) -> Lease | None:
    """Takes the lease or renews it; None if somebody else holds it, or this one has ended."""
    while True:
        found = read(table)
        if found.has_ended(holder) or (found.holder != holder and found.is_held(now)):
            return None
        # Who has it stands by no more, and needs somebody behind it like everybody else.
        standby = "" if found.standby == holder else found.standby
        row = {**_NEW, **(found.row or {}), "holder": holder, "until": now + LEASE, "standby": standby}
        if _replace(table, found, row):
            # What was written and not what a later read finds: a call between the two must count.
            return Lease(found.wake, holder, now + LEASE, row)


def stand_by(table: Table, coordinator: str) -> None:
    """Says who looks again when the lease has run out, so that nobody else need."""
    while (found := read(table)).standby != coordinator:
        if _replace(table, found, {**_NEW, **(found.row or {}), "standby": coordinator}):
            return


def release(table: Table, held: Lease, alarms: Sequence[int]) -> bool:
    """Ends a coordinator, unless intake called since it was acquired or somebody else took it.

    Args:
        table: The pipeline's table.
        held: What the coordinator acquired.
        alarms: The moments of the alarms that are set.
    """
    return _replace(table, held, {**_ended(held), _ALARMS: " ".join(map(str, sorted(alarms)[:_ALARMS_KEPT]))})


def ring(table: Table, alarm: int) -> None:
    """Notes that an alarm went off, so that whoever finds it too early sets it again.

    One that nobody noted yet is of somebody who is just about to, and who must look again.
    """
    if alarm not in read(table).alarms:
        wake(table)
    while alarm in (found := read(table)).alarms:
        left = " ".join(str(each) for each in found.alarms if each != alarm)
        if _replace(table, found, {**(found.row or {}), _ALARMS: left}):
            return


def give_back(table: Table, holder: str) -> None:
    """Ends a coordinator whatever came meanwhile."""
    while (found := read(table)).holder == holder:
        if _replace(table, found, _ended(found)):
            return


def give_up(table: Table, holder: str) -> bool:
    """Gives the lease back for a coordinator that failed, and may be started again.

    Returns:
        Whether somebody stands by, who would look only when this lease had run out. Nobody counts as standing
        by any more: whoever is started in that one's place and fails as well is followed by nobody.
    """
    while (found := read(table)).holder == holder:
        if _replace(table, found, {**_free(found), "standby": ""}):
            return bool(found.standby)
    return False


def mark(holder: str) -> str:
    """A short name for a coordinator: 16 hexadecimal digits."""
    return hashlib.sha256(holder.encode()).hexdigest()[:16]


def note(table: Table, name: str, moment: int, by: str = "") -> None:
    """Keeps in the coordinator's row when something was done, and by which coordinator."""
    noted = {name: moment} | ({f"{name}_by": mark(by)} if by else {})
    while not _replace(table, found := read(table), {**_NEW, **(found.row or {}), **noted}):
        pass


def read(table: Table) -> Lease:
    """The lease as it is."""
    row = table.get(paths.COORDINATOR)
    known = row or {}
    return Lease(int(known.get(_WAKE, 0)), str(known.get("holder", "")), int(known.get("until", 0)), row)


def _ended(held: Lease) -> dict[str, Value]:
    ended = [*str((held.row or {}).get("ended", "")).split(), mark(held.holder)]
    return {**_free(held), "ended": " ".join(ended[-_REMEMBERED:])}


def _free(held: Lease) -> dict[str, Value]:
    return {**_NEW, **(held.row or {}), "holder": "", "until": 0}


def _replace(table: Table, found: Lease, by: Row) -> bool:
    try:
        table.write(Put(paths.COORDINATOR, by, expected=found.row))
    except ConditionFailed:
        return False
    return True
