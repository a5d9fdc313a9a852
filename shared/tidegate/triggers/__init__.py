"""When in processing time: triggers say when the content of a window is emitted as a pane.

Triggers are columns. A trigger compiles to expressions over a few state columns of its own, evaluated
once per epoch for all touched and due windows, on what the whole epoch added; no loop visits a window.
The meaning is that of the Dataflow Model (VLDB 2015, section 2.3) and of Beam's trigger state machines:
each trigger tells when it is ready, what its state becomes if the window fires and if it does not, and
whether it is finished afterwards.
"""

from tidegate.triggers.after_count import AfterCount
from tidegate.triggers.after_processing_time import AfterProcessingTime, AlignedDelay
from tidegate.triggers.after_watermark import DEFAULT_TRIGGER, AfterWatermark
from tidegate.triggers.composite import AfterAll, AfterAny, AfterEach, OrFinally, Repeatedly
from tidegate.triggers.never import Never
from tidegate.triggers.trigger import Earliest, Moment, Outlook, StateColumn, Step, Trigger, alarm

__all__ = [
    "DEFAULT_TRIGGER",
    "AfterAll",
    "AfterAny",
    "AfterCount",
    "AfterEach",
    "AfterProcessingTime",
    "AfterWatermark",
    "AlignedDelay",
    "Earliest",
    "Moment",
    "Never",
    "OrFinally",
    "Outlook",
    "Repeatedly",
    "StateColumn",
    "Step",
    "Trigger",
    "alarm",
]
