"""What an environment gives out: the packed state, pictures beside it, or pictures instead of what they show."""

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from ..robots.errors import RefusedError
from ..robots.observation import GROUPS, Observation, ObservationSpec
from .arm.sim_arm import SimArm
from .cell import Cell
from .randomize import Draw, camera_offsets
from .sight import Sight
from .task import Task

OBSERVATION_MODES = ("state", "rgb", "state+rgb")


class Outlook:
    """Observation space of one environment, and observations of it.

    Attributes:
        space: What is given out.
        fields: Fields of the state that are given out.
    """

    def __init__(
        self, mode: str, cell: Cell, arm: SimArm, task: Task, spec: ObservationSpec, *, depth: bool, backend: str
    ) -> None:
        """Fix what is given out.

        Args:
            mode: One of `OBSERVATION_MODES`; in "rgb" the measured fields and those of the task's `told_by_camera` are
                left out of the state.
            cell: What cameras look at.
            arm: The arm in it, which carries some of them.
            task: Says which cameras there are and what they show.
            spec: The whole state.
            depth: Whether every camera gives a depth picture as well.
            backend: Of the cameras, see `Sight`.

        Raises:
            RefusedError: If there is no such mode, or depth without cameras.
        """
        if mode not in OBSERVATION_MODES:
            raise RefusedError(f"no observation mode named {mode!r}; there are: {', '.join(OBSERVATION_MODES)}")
        if depth and mode == "state":
            raise RefusedError("depth=True needs cameras: obs='rgb' or obs='state+rgb'")
        boxes: dict[str, spaces.Space[Any]] = {g: spaces.Box(*spec.bounds(g), dtype=np.float32) for g in GROUPS}
        self._names = [mount.name for mount in task.cameras]
        self._sight: Sight | None = None
        self._kept: npt.NDArray[np.intp] | None = None
        self.fields = spec.observation
        if mode != "state":
            self._sight = Sight(cell, arm, task.cameras, depth=depth, backend=backend)
            for name, (shape, dtype, least, most) in self._sight.spaces().items():
                boxes[name] = spaces.Box(least, most, shape, np.uint8 if dtype == "uint8" else np.float32)
        if mode == "rgb":
            shown = {f.name for f in spec.observation if f.source == "parts"} | set(task.told_by_camera)
            self.fields = tuple(f for f in spec.observation if f.name not in shown)
            cuts = spec.slices("observation")
            self._kept = np.array(
                [k for f in self.fields for k in range(cuts[f.name].start, cuts[f.name].stop)], np.intp
            )
            low, high = spec.bounds("observation")
            boxes["observation"] = spaces.Box(low[self._kept], high[self._kept], dtype=np.float32)
        self.space = spaces.Dict(boxes)

    @property
    def pictures(self) -> bool:
        """Whether cameras belong to it."""
        return self._sight is not None

    def reset(self, draw: Draw | None) -> None:
        """Set cameras and light as drawn, or as declared."""
        if self._sight is not None:
            self._sight.reset(camera_offsets(draw, self._names) if draw else None)

    def see(self, state: Observation) -> Observation:
        """What is given out of the present state."""
        if self._sight is None:
            return state
        seen: dict[str, Any] = {**state, **self._sight.look()}
        if self._kept is not None:
            seen["observation"] = state["observation"][self._kept]
        return seen
