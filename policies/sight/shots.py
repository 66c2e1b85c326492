"""What a policy with eyes has seen in training: every tick's and glance's state, and pictures, which lie on the disk.

Pictures are too many for a checkpoint. Those of each round lie in files of their own beside it, written before the
checkpoint that speaks of them and read in place; when the policy is done they are removed.
"""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from io import BufferedWriter
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ...robots.errors import RefusedError
from ...robots.observation import ObservationSpec
from ..training.checkpoint import write_whole
from .sighted import Sighted

Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where in a whole observation with its goal the parts are that a policy with eyes tells apart.

    Attributes:
        measured: Of what is measured.
        estimated: Of what the eyes estimate.
        goal: Of the goal.
    """

    measured: NDArray[np.intp]
    estimated: NDArray[np.intp]
    goal: NDArray[np.intp]

    @property
    def given(self) -> NDArray[np.intp]:
        """What a policy is given beside pictures."""
        return np.concatenate([self.measured, self.goal])

    @property
    def told(self) -> NDArray[np.intp]:
        """What the network behind the eyes is told."""
        return np.concatenate([self.measured, self.estimated, self.goal])

    @classmethod
    def of(cls, whole: ObservationSpec, measured: Sequence[str], estimated: Sequence[str]) -> "Columns":
        """Find them.

        Args:
            whole: Spec of the whole state.
            measured: Names of fields.
            estimated: Names of fields.
        """
        cuts = whole.slices("observation")

        def columns(names: Sequence[str]) -> NDArray[np.intp]:
            return np.concatenate([np.arange(cuts[n].start, cuts[n].stop, dtype=np.intp) for n in names])

        split = whole.size("observation")
        goal = np.arange(split, split + whole.size("desired_goal"), dtype=np.intp)
        return cls(measured=columns(measured), estimated=columns(estimated), goal=goal)


@dataclass(slots=True)
class Shots:
    """Everything seen so far: every tick's state and label, and pictures of some of them.

    Attributes:
        x: Whole observation and goal, by round.
        y: The expert's action there.
        at: Rows, counted over all rounds, of which there are pictures.
        frames: By round and camera, the pictures, read in place from the disk.
        folder: Where they lie.
    """

    folder: Path

    x: list[Array] = field(default_factory=list)
    y: list[Array] = field(default_factory=list)
    at: list[NDArray[np.int64]] = field(default_factory=list)
    frames: list[Mapping[str, NDArray[np.uint8]]] = field(default_factory=list)

    def add(self, episodes: Sequence[Sighted]) -> None:
        """Take a round, its pictures on the disk.

        Args:
            episodes: In order.

        Raises:
            RefusedError: If the disk takes no more, or gives back something else.
        """
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise RefusedError(f"{self.folder}: cannot be made ({error.strerror})") from error
        number, cameras = len(self.x), tuple(episodes[0].frames)
        for name in cameras:
            frames = np.concatenate([one.frames[name] for one in episodes])
            write_whole(self._file(number, name), partial(_write_array, array=frames))
        start = sum(len(x) for x in self.x)
        rows = []
        for one in episodes:
            aside = len(one.whole) + np.arange(len(one.aside))
            rows.append(start + np.concatenate([one.ticks, aside]))
            start += len(one.whole) + len(one.aside)
        self.x.append(np.concatenate([part for one in episodes for part in (one.whole.x, one.aside)]))
        self.y.append(np.concatenate([part for one in episodes for part in (one.whole.label, one.label)]))
        self.at.append(np.concatenate(rows))
        self.frames.append(self._read(number, cameras))

    def reopen(self, cameras: Sequence[str]) -> None:
        """Find the pictures of all rounds again, after a checkpoint gave back the rest."""
        self.frames = [self._read(k, cameras) for k in range(len(self.x))]

    def clear(self) -> None:
        """Remove all pictures."""
        self.frames = []
        with suppress(OSError):  # what is left of it is in nobody's way
            shutil.rmtree(self.folder)

    def _file(self, number: int, camera: str) -> Path:
        return self.folder / f"{number:03d}_{camera}.npy"

    def _read(self, number: int, cameras: Sequence[str]) -> Mapping[str, NDArray[np.uint8]]:
        found = {}
        for name in cameras:
            path = self._file(number, name)
            try:
                found[name] = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise RefusedError(f"{path}: cannot be read ({error}); train anew in another folder") from error
        return found

    def pictures(self, numbers: NDArray[np.int64]) -> dict[str, NDArray[np.uint8]]:
        """Pictures by number, counted over all rounds, in this order."""
        ends = np.cumsum([len(at) for at in self.at])
        rounds = np.searchsorted(ends, numbers, side="right")
        found: dict[str, NDArray[np.uint8]] = {}
        for name, first in self.frames[0].items():
            out = np.empty((len(numbers), *first.shape[1:]), np.uint8)
            for k in np.unique(rounds):
                mine = rounds == k
                out[mine] = self.frames[k][name][numbers[mine] - (ends[k] - len(self.at[k]))]
            found[name] = out
        return found


def _write_array(file: BufferedWriter, *, array: NDArray[np.uint8]) -> None:
    npy.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
