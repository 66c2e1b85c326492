"""What differs from one episode to the next beside the task itself: declared as ranges, drawn once per reset.

A range is a frozen value, a draw is a frozen value, and both are plain numbers: the draw belongs to the saved state of
an episode and is printed in `info["randomization"]` once per reset. Ranges follow what published sim-to-real work found
to vary: gains log-uniform 0.75 to 1.5 and damping 0.3 to 3 (Isaac Lab's deployed gear assembly), part mass 0.5 to 1.5
and friction 0.2 to 1.2 (DeXtreme), camera 10 mm and 0.087 rad (robosuite); a bench whose good encoders carry no noise
has none here either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import exp, isfinite, log
from typing import Any, Final

import numpy as np

from ..robots.errors import RefusedError
from .render.mount import CameraOffset

Range = tuple[float, float]
SIZES: Final = (0.95, 1.0, 1.05)  # parts are made in these sizes; a range of sizes chooses among those inside it
ONE: Final[Range] = (1.0, 1.0)
ZERO: Final[Range] = (0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Randomization:
    """Ranges of everything that may differ; the default is that nothing does.

    Attributes:
        actuator_gain: Factor on each joint's position gain, log-uniform.
        actuator_damping: Factor on each joint's derivative gain, log-uniform.
        joint_friction: Factor on each drive's Coulomb friction.
        payload: Mass added to the last link that the arm does not know of, kg.
        part_size: Factor on the size of all parts, chosen among `SIZES`.
        part_mass: Factor on each part's mass.
        part_friction: Factor on each part's coefficient of friction.
        sense_bias: Factor on the error of a part's pose that stays for the episode.
        sense_noise: Factor on the error of one reading.
        latency: Added to the arm's action latency for the episode, s.
        jitter: Greatest further latency of one tick, uniform from 0, s.
        camera_position: Standard deviation of each camera's place, m.
        camera_rotation: Standard deviation of its direction, rad.
        camera_fov: Factor on its field of view.
        light: Factor on brightness.
        light_direction: Standard deviation of the light's direction, as a share of its length.
    """

    actuator_gain: Range = ONE
    actuator_damping: Range = ONE
    joint_friction: Range = ONE
    payload: Range = ZERO
    part_size: Range = ONE
    part_mass: Range = ONE
    part_friction: Range = ONE
    sense_bias: Range = ONE
    sense_noise: Range = ONE
    latency: Range = ZERO
    jitter: float = 0.0
    camera_position: float = 0.0
    camera_rotation: float = 0.0
    camera_fov: Range = ONE
    light: Range = ONE
    light_direction: float = 0.0

    def __post_init__(self) -> None:
        """Refuse ranges that are no ranges.

        Raises:
            RefusedError: If a bound is not finite, negative, or below the other.
        """
        for each in fields(self):
            value = getattr(self, each.name)
            low, high = value if isinstance(value, tuple) else (0.0, value)
            if not (isfinite(low) and isfinite(high) and 0.0 <= low <= high):
                raise RefusedError(f"randomization: {each.name} is {value}; expected finite numbers 0 <= low <= high")
        if self.actuator_gain[0] <= 0.0 or self.actuator_damping[0] <= 0.0 or self.part_mass[0] <= 0.0:
            raise RefusedError("randomization: actuator_gain, actuator_damping and part_mass are factors above 0")
        if not self.sizes:
            raise RefusedError(f"randomization: part_size {self.part_size} holds none of the sizes {SIZES}")

    @property
    def sizes(self) -> tuple[float, ...]:
        """Sizes in which parts are made."""
        low, high = self.part_size
        return tuple(size for size in SIZES if low - 1e-9 <= size <= high + 1e-9)

    def draw(self, rng: np.random.Generator, *, joints: int, parts: int, cameras: int, horizon: int) -> "Draw":
        """Draw one episode.

        Args:
            rng: Generator; always the same count of numbers is drawn, so that one range does not shift another.
            joints: Drives, gripper included.
            parts: Loose parts.
            cameras: Cameras.
            horizon: Ticks for which jitter is needed.
        """

        def factors(span: Range, count: int) -> tuple[float, ...]:
            return tuple(rng.uniform(span[0], span[1], count).tolist())

        def log_factors(span: Range, count: int) -> tuple[float, ...]:
            low, high = log(span[0]), log(span[1])
            return tuple([exp(v) for v in rng.uniform(low, high, count).tolist()])

        sizes = self.sizes
        return Draw(
            actuator_gain=log_factors(self.actuator_gain, joints),
            actuator_damping=log_factors(self.actuator_damping, joints),
            joint_friction=factors(self.joint_friction, joints),
            payload=factors(self.payload, 1)[0],
            part_size=sizes[int(rng.integers(len(sizes)))],
            part_mass=factors(self.part_mass, parts),
            part_friction=factors(self.part_friction, parts),
            sense_bias=factors(self.sense_bias, 1)[0],
            sense_noise=factors(self.sense_noise, 1)[0],
            latency=factors(self.latency, 1)[0],
            jitter=factors((0.0, self.jitter), horizon + 2) if self.jitter else (),
            camera_position=tuple((self.camera_position * rng.standard_normal(3 * cameras)).tolist()),
            camera_rotation=tuple((self.camera_rotation * rng.standard_normal(3 * cameras)).tolist()),
            camera_fov=factors(self.camera_fov, cameras),
            light=factors(self.light, 1)[0],
            light_direction=tuple((self.light_direction * rng.standard_normal(3)).tolist()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What was drawn for one episode; fields as in `Randomization`, one value per joint, part, camera or tick."""

    actuator_gain: tuple[float, ...] = ()
    actuator_damping: tuple[float, ...] = ()
    joint_friction: tuple[float, ...] = ()
    payload: float = 0.0
    part_size: float = 1.0
    part_mass: tuple[float, ...] = ()
    part_friction: tuple[float, ...] = ()
    sense_bias: float = 1.0
    sense_noise: float = 1.0
    latency: float = 0.0
    jitter: tuple[float, ...] = field(default=(), repr=False)
    camera_position: tuple[float, ...] = ()
    camera_rotation: tuple[float, ...] = ()
    camera_fov: tuple[float, ...] = ()
    light: float = 1.0
    light_direction: tuple[float, ...] = ()

    def to_info(self) -> dict[str, Any]:
        """Plain values for `info`; of the jitter only its greatest."""
        table = asdict(self)
        table["jitter"] = max(self.jitter, default=0.0)
        return table


OFF: Final = Randomization()
NOMINAL: Final = Randomization(
    actuator_gain=(0.9, 1.1),
    actuator_damping=(0.8, 1.25),
    joint_friction=(0.8, 1.2),
    payload=(0.0, 0.01),
    part_mass=(0.9, 1.1),
    part_friction=(0.8, 1.2),
    sense_bias=(0.5, 1.2),
    sense_noise=(0.5, 1.2),
    latency=(0.0, 0.004),
    jitter=0.004,
    camera_position=0.002,
    camera_rotation=0.01,
    camera_fov=(0.99, 1.01),
    light=(0.85, 1.15),
    light_direction=0.1,
)
WIDE: Final = Randomization(
    actuator_gain=(0.75, 1.5),
    actuator_damping=(0.5, 2.0),
    joint_friction=(0.5, 2.0),
    payload=(0.0, 0.03),
    part_size=(0.95, 1.05),
    part_mass=(0.5, 1.5),
    part_friction=(0.5, 1.2),
    sense_bias=(0.0, 2.0),
    sense_noise=(0.0, 2.0),
    latency=(0.0, 0.016),
    jitter=0.012,
    camera_position=0.010,
    camera_rotation=0.05,
    camera_fov=(0.95, 1.05),
    light=(0.5, 1.3),
    light_direction=0.4,
)
PRESETS: Final[Mapping[str, Randomization]] = {"off": OFF, "nominal": NOMINAL, "wide": WIDE}


def preset(choice: "str | Randomization", presets: Mapping[str, Randomization]) -> Randomization:
    """Ranges by name, or as they are given.

    Args:
        choice: "off", "nominal", "wide", or ranges of one's own.
        presets: The task's.

    Raises:
        RefusedError: If there is no such preset.
    """
    if isinstance(choice, Randomization):
        return choice
    if choice not in presets:
        raise RefusedError(f"no randomization named {choice!r}; there are: {', '.join(presets)}")
    return presets[choice]


def camera_offsets(draw: Draw, names: Sequence[str]) -> dict[str, CameraOffset]:
    """By how much each camera and its light are off in a drawn episode.

    Args:
        draw: The draw.
        names: Cameras in the order in which they were drawn.
    """

    def triple(values: tuple[float, ...], k: int) -> tuple[float, float, float]:
        x, y, z = values[3 * k : 3 * k + 3]
        return x, y, z

    return {
        name: CameraOffset(
            position=triple(draw.camera_position, k),
            turn=triple(draw.camera_rotation, k),
            fov=draw.camera_fov[k],
            light=triple(draw.light_direction, 0),
            brightness=draw.light,
        )
        for k, name in enumerate(names)
    }
