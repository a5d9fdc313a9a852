"""What is known of a trigger before anything runs, compared with what becomes of it."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings

import tidegate as tg
from tests.triggers.machines import NaiveWindow
from tests.triggers.test_machines import triggers
from tidegate.triggers import DEFAULT_TRIGGER, Earliest, Outlook, Trigger

NOW, END, NEVER = Earliest.ANY_TIME, Earliest.AT_END_OF_WINDOW, Earliest.NEVER

LONG, END_OF_WINDOW = 120, 100
"""Epochs before the watermark passes the end, and as many after it; the end."""


@dataclass
class Life:
    """What became of a window to which elements came in every epoch, with much time between them.

    Attributes:
        fired: When it fired for the first time.
        finished: When it finished.
        halted: Whether it had ceased to fire when the watermark passed, without being finished.
    """

    fired: Earliest = NEVER
    finished: Earliest = NEVER
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


COUNT, DELAY, WATERMARK = tg.AfterCount(2), tg.AfterProcessingTime("1m"), tg.AfterWatermark()


@pytest.mark.parametrize(
    ("trigger", "outlook"),
    [
        (COUNT, Outlook(NOW, NOW, NOW)),
        (DELAY, Outlook(NOW, NOW, NOW)),
        (tg.AlignedDelay("1m"), Outlook(NOW, NOW, NOW)),
        (tg.Never(), Outlook(NEVER, NEVER, NEVER)),
        (WATERMARK, Outlook(END, END, END)),
        (tg.AfterWatermark(on_time="if_new"), Outlook(END, END, END)),
        (tg.AfterWatermark(early=COUNT), Outlook(NOW, END, NOW)),
        (tg.AfterWatermark(early=WATERMARK), Outlook(END, END, END)),
        (tg.AfterWatermark(early=tg.AfterEach(COUNT, WATERMARK)), Outlook(NOW, END, END)),
        (tg.AfterWatermark(early=tg.Never(), late=tg.Never()), Outlook(END, NEVER, END)),
        (DEFAULT_TRIGGER, Outlook(END, NEVER, END)),
        (tg.Repeatedly(COUNT), Outlook(NOW, NEVER, NOW)),
        (tg.Repeatedly(WATERMARK), Outlook(END, NEVER, END)),
        (tg.Repeatedly(tg.Never()), Outlook(NEVER, NEVER, NEVER)),
        (tg.AfterAny(WATERMARK, COUNT), Outlook(NOW, NOW, NOW)),
        (tg.AfterAny(WATERMARK, tg.Never()), Outlook(END, END, END)),
        (tg.AfterAny(tg.Repeatedly(COUNT), DEFAULT_TRIGGER), Outlook(NOW, NOW, NOW)),
        (tg.AfterAll(WATERMARK, COUNT), Outlook(END, END, END)),
        (tg.AfterAll(COUNT, DELAY), Outlook(NOW, NOW, NOW)),
        (tg.AfterAll(tg.Never(), COUNT), Outlook(NEVER, NEVER, NEVER)),
        (tg.AfterEach(COUNT, WATERMARK), Outlook(NOW, END, END)),
        (tg.AfterEach(WATERMARK, COUNT), Outlook(END, END, END)),
        (tg.AfterEach(COUNT, tg.Repeatedly(DELAY)), Outlook(NOW, NEVER, NOW)),
        (tg.AfterEach(COUNT, tg.Never()), Outlook(NOW, NEVER, NEVER)),
        (tg.AfterEach(tg.AfterWatermark(early=COUNT), tg.Never()), Outlook(NOW, NEVER, NOW)),
        (tg.OrFinally(tg.Repeatedly(COUNT), COUNT), Outlook(NOW, NOW, NOW)),
        (tg.OrFinally(tg.Repeatedly(COUNT), WATERMARK), Outlook(NOW, END, NOW)),
        (tg.OrFinally(tg.Never(), WATERMARK), Outlook(END, END, END)),
        (tg.OrFinally(tg.Repeatedly(COUNT), tg.Never()), Outlook(NOW, NEVER, NOW)),
        (tg.OrFinally(tg.AfterEach(COUNT, tg.Never()), WATERMARK), Outlook(NOW, END, END)),
    ],
    ids=lambda each: each.describe() if hasattr(each, "describe") else "",
)
def test_when_a_trigger_can_fire_and_finish_and_what_it_may_wait_for(
    trigger: Trigger, outlook: Outlook
) -> None:
    assert trigger.outlook == outlook
