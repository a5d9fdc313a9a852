"""What is known of a trigger before anything runs, compared with what becomes of it."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings

import tidegate as tg
from tests.triggers.machines import NaiveWindow
from tests.triggers.test_machines import triggers
from tidegate.triggers import DEFAULT_TRIGGER, Earliest, Trigger

NOW, END, NEVER = Earliest.ANY_TIME, Earliest.AT_END_OF_WINDOW, Earliest.NEVER

LONG, END_OF_WINDOW = 120, 100
"""Epochs before the watermark passes the end, and as many after it; the end."""


@dataclass
class Life:
    """What became of a window to which elements came in every epoch, with much time between them.

    Attributes:
        fired: When it fired for the first time.
        finished: When it finished.
        panes: How often it fired.
        halted: Whether it had ceased to fire when the watermark passed, without being finished.
    """

    fired: Earliest = NEVER
    finished: Earliest = NEVER
    panes: int = 0
    halted: bool = False


def life(trigger: Trigger) -> Life:
    window, found, before, latest = NaiveWindow(trigger), Life(), 0, 0
    for epoch in range(2 * LONG):
        watermark = 0 if epoch < LONG else END_OF_WINDOW
        if epoch == LONG:
            found.halted = latest < LONG // 2 and not window.closed
        fires, _, finished = window.epoch(4, END_OF_WINDOW, before, watermark, 10 * epoch)
        before, phase = watermark, END if watermark else NOW
        latest = epoch if fires else latest
        found.panes += fires
        found.fired = min(found.fired, phase) if fires else found.fired
        found.finished = phase if finished else found.finished
    return found


@given(triggers(4) | triggers(3).map(tg.Repeatedly))
@settings(max_examples=300)
def test_the_outlook_is_what_becomes_of_a_trigger(trigger: Trigger) -> None:
    found = life(trigger)

    assert trigger.outlook.fires is found.fired
    assert trigger.outlook.finishes is found.finished
    assert (trigger.outlook.waits is not NOW) is found.halted
    assert not trigger.outlook.once or found.panes <= 1


COUNT, DELAY, WATERMARK = tg.AfterCount(2), tg.AfterProcessingTime("1m"), tg.AfterWatermark()


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (COUNT, (NOW, NOW, NOW)),
        (DELAY, (NOW, NOW, NOW)),
        (tg.AlignedDelay("1m"), (NOW, NOW, NOW)),
        (tg.Never(), (NEVER, NEVER, NEVER)),
        (WATERMARK, (END, END, END)),
        (tg.AfterWatermark(on_time="if_new"), (END, END, END)),
        (tg.AfterWatermark(early=COUNT), (NOW, END, NOW)),
        (tg.AfterWatermark(early=WATERMARK), (END, END, END)),
        (tg.AfterWatermark(early=tg.AfterEach(COUNT, WATERMARK)), (NOW, END, END)),
        (tg.AfterWatermark(early=tg.Never(), late=tg.Never()), (END, NEVER, END)),
        (DEFAULT_TRIGGER, (END, NEVER, END)),
        (tg.Repeatedly(COUNT), (NOW, NEVER, NOW)),
        (tg.Repeatedly(WATERMARK), (END, NEVER, END)),
        (tg.Repeatedly(tg.Never()), (NEVER, NEVER, NEVER)),
        (tg.AfterAny(WATERMARK, COUNT), (NOW, NOW, NOW)),
        (tg.AfterAny(WATERMARK, tg.Never()), (END, END, END)),
        (tg.AfterAny(tg.Repeatedly(COUNT), DEFAULT_TRIGGER), (NOW, NOW, NOW)),
        (tg.AfterAll(WATERMARK, COUNT), (END, END, END)),
        (tg.AfterAll(COUNT, DELAY), (NOW, NOW, NOW)),
        (tg.AfterAll(tg.Never(), COUNT), (NEVER, NEVER, NEVER)),
        (tg.AfterEach(COUNT, WATERMARK), (NOW, END, END)),
        (tg.AfterEach(WATERMARK, COUNT), (END, END, END)),
        (tg.AfterEach(COUNT, tg.Repeatedly(DELAY)), (NOW, NEVER, NOW)),
        (tg.AfterEach(COUNT, tg.Never()), (NOW, NEVER, NEVER)),
        (tg.AfterEach(tg.AfterWatermark(early=COUNT), tg.Never()), (NOW, NEVER, NOW)),
        (tg.OrFinally(tg.Repeatedly(COUNT), COUNT), (NOW, NOW, NOW)),
        (tg.OrFinally(tg.Repeatedly(COUNT), WATERMARK), (NOW, END, NOW)),
        (tg.OrFinally(tg.Never(), WATERMARK), (END, END, END)),
        (tg.OrFinally(tg.Repeatedly(COUNT), tg.Never()), (NOW, NEVER, NOW)),
        (tg.OrFinally(tg.AfterEach(COUNT, tg.Never()), WATERMARK), (NOW, END, END)),
    ],
    ids=lambda each: each.describe() if hasattr(each, "describe") else "",
)
def test_when_a_trigger_can_fire_and_finish_and_what_it_may_wait_for(
    trigger: Trigger, expected: tuple[Earliest, Earliest, Earliest]
) -> None:
    outlook = trigger.outlook

    assert (outlook.fires, outlook.finishes, outlook.waits) == expected


@pytest.mark.parametrize(
    ("trigger", "once"),
    [
        (COUNT, True),
        (WATERMARK, True),
        (tg.AfterWatermark(early=COUNT), False),
        (tg.AfterWatermark(late=COUNT), False),
        (tg.Repeatedly(COUNT), False),
        (tg.AfterAny(tg.Repeatedly(COUNT), DELAY), True),
        (tg.AfterAll(WATERMARK, COUNT), True),
        (tg.AfterEach(WATERMARK, COUNT), False),
        (tg.OrFinally(COUNT, WATERMARK), True),
        (tg.OrFinally(tg.Repeatedly(COUNT), WATERMARK), False),
    ],
    ids=lambda each: each.describe() if hasattr(each, "describe") else "",
)
def test_whether_a_trigger_is_finished_with_its_first_firing(trigger: Trigger, once: bool) -> None:
    assert trigger.outlook.once is once
