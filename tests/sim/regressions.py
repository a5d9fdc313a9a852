"""Seeds that once broke a promise. They are run for ever."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REGRESSIONS = Path(__file__).with_name("regressions.txt")


@dataclass(frozen=True)
class Regression:
    """A run to repeat.

    Attributes:
        without: Faults that are not needed for it.
        left_out: Numbers of the uploads that are not needed for it.
    """

    seed: str
    without: tuple[str, ...] = ()
    left_out: tuple[int, ...] = ()

    @classmethod
    def of(cls, line: str) -> "Regression":
        """The regression of a line such as `12 without=kill,stall left_out=0,3`."""
        seed, *rest = line.split()
        parts = dict(part.split("=", maxsplit=1) for part in rest)
        names = tuple(name for name in parts.get("without", "").split(",") if name)
        numbers = tuple(int(number) for number in parts.get("left_out", "").split(",") if number)
        return cls(seed, names, numbers)

    def __str__(self) -> str:
        """The line."""
        numbers = ",".join(str(number) for number in self.left_out)
        return f"{self.seed} without={','.join(self.without)} left_out={numbers}"


def kept() -> Iterator[Regression]:
    """All of them; a line may end in a comment."""
    for line in REGRESSIONS.read_text().splitlines():
        text = line.split("#", maxsplit=1)[0].strip()
        if text:
            yield Regression.of(text)
