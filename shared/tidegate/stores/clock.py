"""Processing time from the machine's clock, on a laptop and in Lambda alike."""

import time


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """See `Clock.now`."""
        return time.time_ns() // 1_000
