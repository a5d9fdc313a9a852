"""What triggers do, one window and one part at a time, in plain Python.

Written from the rules, with an object for each part that is thrown away and made anew when the part begins
anew.
"""

from dataclasses import dataclass
from typing import Any

import tidegate as tg
from tidegate.timestamps import MAX, microseconds
from tidegate.triggers import Trigger

HORIZON = 12
"""So far ahead alarms are looked for, in microseconds; no delay of the tests is longer."""


@dataclass(frozen=True)
class Epoch:
    """What a machine may look at."""

    end: int
    before: int
    watermark: int
    now: int
    pending: int

    @property
    def is_past(self) -> bool:
        return self.watermark >= self.end


class Count:
    def __init__(self, trigger: tg.AfterCount) -> None:
        self.number, self.seen = trigger.count, 0

    def take(self, added: int, epoch: Epoch) -> None:
        self.seen += added

    def ready(self, epoch: Epoch) -> bool:
        return self.seen >= self.number

    def shows(self, epoch: Epoch) -> bool:
        return epoch.pending > 0

    def fire(self, epoch: Epoch) -> bool:
        """Fires, being ready; says whether it is finished."""
        return True


class Delay:
    def __init__(self, trigger: tg.AfterProcessingTime | tg.AlignedDelay) -> None:
        self.trigger, self.deadline = trigger, MAX

    def take(self, added: int, epoch: Epoch) -> None:
        if added and self.deadline == MAX:
            if isinstance(self.trigger, tg.AfterProcessingTime):
                self.deadline = epoch.now + microseconds(self.trigger.delay)
            else:
                self.deadline = epoch.now
                while self.deadline % microseconds(self.trigger.period):
                    self.deadline += 1

    def ready(self, epoch: Epoch) -> bool:
        return epoch.now >= self.deadline

    def shows(self, epoch: Epoch) -> bool:
        return epoch.pending > 0

    def fire(self, epoch: Epoch) -> bool:
        return True


class Nothing:
    def take(self, added: int, epoch: Epoch) -> None:
        pass

    def ready(self, epoch: Epoch) -> bool:
        return False

    def shows(self, epoch: Epoch) -> bool:
        raise AssertionError("it is never ready")

    fire = shows


class Repeat:
    def __init__(self, trigger: Trigger) -> None:
        self.trigger, self.part = trigger, machine(trigger)

    def take(self, added: int, epoch: Epoch) -> None:
        self.part.take(added, epoch)

    def ready(self, epoch: Epoch) -> bool:
        return self.part.ready(epoch)

    def shows(self, epoch: Epoch) -> bool:
        return self.part.shows(epoch)

    def fire(self, epoch: Epoch) -> bool:
        if self.part.fire(epoch):
            self.part = machine(self.trigger)
        return False


class SideBySide:
    """Several at once: any of them, or all of them."""

    def __init__(self, trigger: tg.AfterAny | tg.AfterAll) -> None:
        self.enough = any if isinstance(trigger, tg.AfterAny) else all
        self.parts = [machine(part) for part in trigger.parts]

    def take(self, added: int, epoch: Epoch) -> None:
        for part in self.parts:
            part.take(added, epoch)

    def ready(self, epoch: Epoch) -> bool:
        return self.enough([part.ready(epoch) for part in self.parts])

    def shows(self, epoch: Epoch) -> bool:
        return any(part.ready(epoch) and part.shows(epoch) for part in self.parts)

    def fire(self, epoch: Epoch) -> bool:
        return True


class OneAfterTheOther:
    def __init__(self, trigger: tg.AfterEach) -> None:
        self.parts = [machine(part) for part in trigger.parts]

    def take(self, added: int, epoch: Epoch) -> None:
        self.parts[0].take(added, epoch)

    def ready(self, epoch: Epoch) -> bool:
        return self.parts[0].ready(epoch)

    def shows(self, epoch: Epoch) -> bool:
        return self.parts[0].shows(epoch)

    def fire(self, epoch: Epoch) -> bool:
        if self.parts[0].fire(epoch):
            self.parts.pop(0)
        return not self.parts


class Until:
    def __init__(self, trigger: tg.OrFinally) -> None:
        self.main, self.until = machine(trigger.trigger), machine(trigger.until)

    def take(self, added: int, epoch: Epoch) -> None:
        self.main.take(added, epoch)
        self.until.take(added, epoch)

    def ready(self, epoch: Epoch) -> bool:
        return self.main.ready(epoch) or self.until.ready(epoch)

    def shows(self, epoch: Epoch) -> bool:
        return any(part.ready(epoch) and part.shows(epoch) for part in (self.main, self.until))

    def fire(self, epoch: Epoch) -> bool:
        return self.until.ready(epoch) or self.main.fire(epoch)


class Watermark:
    def __init__(self, trigger: tg.AfterWatermark) -> None:
        self.trigger = trigger
        self._begin()

    def _begin(self) -> None:
        self.passed = False
        self.early = Repeat(self.trigger.early) if self.trigger.early else Nothing()
        self.late = Repeat(self.trigger.late) if self.trigger.late else Nothing()

    def take(self, added: int, epoch: Epoch) -> None:
        if self.passed and epoch.end > epoch.before:
            # The window grew beyond the watermark: its on-time firing is still to come.
            self._begin()
        (self.late if self.passed else self.early).take(added, epoch)

    def ready(self, epoch: Epoch) -> bool:
        if self.passed:
            return self.late.ready(epoch)
        return epoch.is_past or self.early.ready(epoch)

    def shows(self, epoch: Epoch) -> bool:
        if self.passed:
            return self.late.shows(epoch)
        if epoch.is_past:
            return epoch.pending > 0 or self.trigger.on_time == "always"
        return self.early.shows(epoch)

    def fire(self, epoch: Epoch) -> bool:
        if self.passed:
            self.late.fire(epoch)
        elif epoch.is_past:
            self.passed = True
            return self.trigger.late is None
        else:
            self.early.fire(epoch)
        return False


MACHINES: dict[type, Any] = {
    tg.AfterCount: Count,
    tg.AfterProcessingTime: Delay,
    tg.AlignedDelay: Delay,
    tg.Never: lambda trigger: Nothing(),
    tg.Repeatedly: lambda trigger: Repeat(trigger.trigger),
    tg.AfterAny: SideBySide,
    tg.AfterAll: SideBySide,
    tg.AfterEach: OneAfterTheOther,
    tg.OrFinally: Until,
    tg.AfterWatermark: Watermark,
}


def machine(trigger: Trigger) -> Any:
    """A trigger in its first state."""
    return MACHINES[type(trigger)](trigger)


class NaiveWindow:
    """A window by the rule of who is asked: touched, passed in this epoch, or with an alarm that is due."""

    def __init__(self, trigger: Trigger) -> None:
        self.machine = machine(trigger)
        self.exists = False
        self.closed = False
        self.pending = 0
        self.alarm = MAX

    def epoch(self, added: int, end: int, before: int, watermark: int, now: int) -> tuple[bool, bool, bool]:
        """Whether it fires, gives a pane, and is finished."""
        self.exists |= added > 0
        if not self.exists or self.closed:
            return False, False, False
        self.pending += added
        epoch = Epoch(end, before, watermark, now, self.pending)
        self.machine.take(added, epoch)
        asked = added > 0 or before < end <= watermark or self.alarm <= now
        ready = self.machine.ready(epoch)
        assert asked or not ready or not self.pending, "a window that is ready holds elements back"
        fires = asked and ready
        shows = fires and self.machine.shows(epoch)
        self.closed = fires and self.machine.fire(epoch)
        self.pending = 0 if shows else self.pending
        self.alarm = MAX if self.closed else self._next(end, watermark, now)
        return fires, shows, self.closed

    def _next(self, end: int, watermark: int, now: int) -> int:
        """The first later processing time at which it would be ready, by trying one after the other."""
        for moment in range(now, now + HORIZON):
            if self.machine.ready(Epoch(end, watermark, watermark, moment, self.pending)):
                return moment if moment > now else MAX
        return MAX
