"""A clip of what happened: the rows of a recording, drawn in the cell they came from."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..robots.description import RobotDescription
from ..robots.errors import RefusedError
from ..robots.observation import ObservationSpec
from .arm.sim_arm import SimArm
from .cell import Cell
from .tasks import load_task
from .view import Camera

Pixels = npt.NDArray[np.uint8]


def load_recording(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """Columns of a recording.

    Args:
        path: What `genba run --record` wrote.

    Raises:
        RefusedError: If it is missing or no recording.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise RefusedError(f"{path}: no recording that can be read ({error})") from error


def film(
    recording: Mapping[str, npt.NDArray[np.generic]],
    *,
    task: str,
    robot: RobotDescription,
    spec: ObservationSpec,
    seconds: float,
    fps: float,
    size: tuple[int, int] = (480, 360),
) -> list[Pixels]:
    """Draw a recording from its first row on.

    Args:
        recording: Columns from `load_recording`.
        task: Task name, for the parts.
        robot: The arm.
        spec: Layout of its observations.
        seconds: Length of the clip.
        fps: Frames per second.
        size: Width and height in pixels.

    Returns:
        (height, width, 3) uint8 frames.
    """
    stamps = np.asarray(recording["stamp"], np.float64)
    joints = np.asarray(recording["joint_positions"], np.float64)
    # Homing between episodes is not recorded: cut such gaps to one tick.
    steps = np.diff(stamps, prepend=stamps[0])
    clock = np.cumsum(np.clip(steps, 0.0, 1.5 / robot.control_rate_hz))
    fields = {
        name: np.asarray(recording[group], np.float64)[:, cut]
        for group in ("observation", "desired_goal")
        for name, cut in spec.slices(group).items()
    }
    frames: list[Pixels] = []
    work = load_task(task)(robot, robot.tolerance)
    with Cell(robot) as cell:
        work.build(cell)
        arm = SimArm(cell)
        camera = Camera.overview(robot)
        for t in np.arange(0.0, min(seconds, float(clock[-1])), 1.0 / fps):
            row = int(np.searchsorted(clock, t))
            arm.reset(tuple(joints[row, :-1].tolist()), float(joints[row, -1]))
            work.show(cell, {name: values[row] for name, values in fields.items()})
            frames.append(camera.picture(cell, *size))
    return frames
