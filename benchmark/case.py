"""What a case of the benchmark is made of. A case is a file `case_*.py` with a `Case` in it."""

import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Callable


@dataclass(frozen=True)
class Measure:
    """A quantity that is measured in every run, in the unit it is printed with."""

    name: str
    unit: str
    higher_is_better: bool = True
    decimals: int = 0


@dataclass(frozen=True)
class Contestant:
    """`run()` does the work once and gives the value of each measure by its name.

    It checks that the work was done: a run that was fast because it failed is no run.
    """

    name: str
    run: Callable[[], dict]


@dataclass(frozen=True)
class Target:
    """What `contestant` has to reach in `measure`: a share of what `peer` has, or a bound."""

    contestant: str
    measure: str
    peer: str | None = None
    ratio: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    def __str__(self):
        if self.peer is not None:
            return f"{self.contestant}: {self.ratio} of the {self.measure} of {self.peer}"
        if self.at_least is not None:
            return f"{self.contestant}: {self.measure} of at least {self.at_least:g}"
        return f"{self.contestant}: {self.measure} of at most {self.at_most:g}"

    def is_met(self, medians):
        """Whether it holds for medians by contestant and measure."""
        reached = medians[self.contestant][self.measure]
        if self.peer is not None:
            return reached >= self.ratio * medians[self.peer][self.measure]
        if self.at_least is not None:
            return reached >= self.at_least
        return reached <= self.at_most


@dataclass(frozen=True)
class Contest:
    """The contestants of one question and how they are compared.

    Ratios are printed against `reference`, in the first of `measures`. Where a run takes long and
    tells nearly the same each time, `most_rounds` is enough.
    """

    title: str
    measures: list
    contestants: list
    reference: str
    targets: list = field(default_factory=list)
    most_rounds: int | None = None


class Case:
    """Several contests that share what has to be set up. `name` picks it on the command line; those
    that take long run only then."""

    name = ""
    is_long = False

    def __init__(self, place):
        """`place` is what the runner offers: a folder, the cores, the size of things."""
        self.place = place
        self.folder = place.folder / self.name
        self.opened = ExitStack()

    def __enter__(self):
        """Starts what the contestants need, each in `opened`."""
        self.folder.mkdir(parents=True)
        return self

    def __exit__(self, *_):
        """Ends it."""
        self.opened.close()
        shutil.rmtree(self.folder)

    def contests(self):
        """Gives the title of each contest and what sets it up: a function that takes the title."""
        raise NotImplementedError
