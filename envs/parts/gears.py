"""Spur gears made of bars, shafts they turn on, and the drive that shows whether they mesh.

A tooth is a bar from bore to tip, so a gear is as many boxes as it has teeth; their inner ends make the bore. Straight
flanks run less smoothly than involutes, but with the play of cast gears they turn one another and jam as real ones do.
Bullet takes at most 16 shapes for a loose body, which bounds the number of teeth.
"""

from collections.abc import Callable
from math import cos, pi, sin, tan
from typing import TYPE_CHECKING

from ..body import Box, Colour, Cylinder, Shape, about, about_z, times
from ..bullet import bullet

if TYPE_CHECKING:
    from ..cell import Cell

TEETH = 12
MODULE = 0.0025  # m of pitch diameter per tooth
PITCH_RADIUS = 0.5 * MODULE * TEETH  # m
TIP_RADIUS = PITCH_RADIUS + 0.8 * MODULE  # m, stub teeth
BORE_RADIUS = 0.00525  # m
SHAFT_RADIUS = 0.005  # m; 0.5 mm less in diameter
TOOTH = 0.0027  # m, width of a tooth; half a pitch is 3.93 mm, the rest is backlash
THICKNESS = 0.015  # m
FEET = 0.0003  # m by which every third tooth reaches lower, so that a gear stands on four and not on all
STEP = 2.0 * pi / TEETH  # rad from tooth to tooth
CONE = 0.002  # m, height and width of the shaft's chamfer


def gear(colour: Colour, web: Colour, *, facing: float | None = None) -> tuple[Shape, ...]:
    """Shapes of a gear about its middle, a tooth along x.

    Args:
        colour: Of the teeth.
        web: Of the disc between them, which is only seen.
        facing: Direction of the only other gear it meets, rad: teeth that never get there are only seen, too.
    """
    inner, outer = BORE_RADIUS, TIP_RADIUS
    half, middle = 0.5 * (outer - inner), 0.5 * (outer + inner)
    shapes: list[Shape] = [Cylinder(radius=PITCH_RADIUS - MODULE, height=0.9 * THICKNESS, colour=web, solid=False)]
    for k in range(TEETH):
        angle = k * STEP
        solid = facing is None or cos(angle - facing) > cos(2.4 * STEP)
        at = (cos(angle) * middle, sin(angle) * middle, 0.0)
        down = 0.5 * FEET if k % 3 == 0 else 0.0
        shapes.append(
            Box(
                half=(half, 0.5 * TOOTH, 0.5 * THICKNESS + down),
                at=(at[0], at[1], -down),
                turn=about_z(angle),
                colour=colour,
                solid=solid,
            )
        )
    return tuple(shapes)


def shaft(height: float, foot: float, colour: Colour, *, cone: bool = True) -> list[Box]:
    """A round shaft as a prism of 16 sides.

    Args:
        height: Above `foot`, chamfer included, m.
        foot: Height at which it begins, m.
        colour: Its own.
        cone: Whether its top is chamfered, to lead a bore in.
    """
    # Below the cone it is a little thinner: what slides down the cone must not come to stand on a corner of the prism.
    radius, straight = SHAFT_RADIUS * cos(pi / 16.0), height - (CONE if cone else 0.0)
    side = radius * tan(pi / 16.0)
    z = foot + 0.5 * straight
    boxes = [
        Box(half=(radius, side, 0.5 * straight), at=(0.0, 0.0, z), turn=about_z(k * pi / 8.0), colour=colour)
        for k in range(8)
    ]
    if cone:
        # Slabs whose outer faces make the cone; narrow, lest their corners stand out beyond the shaft.
        t, length = 0.0004, 0.5 * CONE * 2.0**0.5
        out, up = SHAFT_RADIUS - 0.5 * CONE - t * 0.5**0.5, foot + straight + 0.5 * CONE - t * 0.5**0.5
        for k in range(8):
            angle = 0.25 * pi * k
            turn = times(about_z(angle), about((0.0, 1.0, 0.0), 0.25 * pi))
            at = (cos(angle) * out, sin(angle) * out, up)
            boxes.append(Box(half=(length, 0.001, t), at=at, turn=turn, colour=colour))
    return boxes


def meshing_yaw(left: float, right: float) -> float:
    """Yaw at which a gear meshes with one on either side, rad, all three alike and in line along x.

    Args:
        left: Angle of the gear at -x, rad.
        right: Angle of the gear at +x, rad; such a yaw exists only if it is nearly the same but for whole teeth.
    """
    apart = (right - left + 0.5 * STEP) % STEP - 0.5 * STEP
    return (-left - 0.5 * apart - 0.5 * STEP) % STEP


class GearDrive:
    """A motor on one shaft of a gearbox that turns it by an angle, once, unless that takes more torque than it has.

    Attributes:
        running: Whether it turns now.
        turned: How far the far shaft went along while it ran, rad; the least of both shafts' turns.
    """

    def __init__(
        self, cell: "Cell", box: str, near: str, far: str, *, angle: float, speed: float, torque: float, drag: float
    ) -> None:
        """Couple it to two movers of a fixture.

        Args:
            cell: Where.
            box: The fixture.
            near: The mover it drives.
            far: The mover that is to be turned by way of what lies between.
            angle: By which it turns, rad.
            speed: rad/s.
            torque: Greatest it can give, N m.
            drag: Friction of the shaft when it stands, N m.
        """
        self._client, self._uid = cell.client, cell.uid(box)
        self._link = cell.mover_link(box, near)
        self._angles: Callable[[], tuple[float, float]] = lambda: (cell.mover(box, near)[0], cell.mover(box, far)[0])
        self._angle, self._speed, self._torque, self._drag = angle, speed, torque, drag
        self._limit = 3.0 * angle / speed
        self._dt = cell.physics_dt
        self.reset()

    def begin(self) -> None:
        """Start to turn."""
        self._from = self._angles()
        self._time = self.turned = 0.0
        self._set(running=True)

    def substep(self) -> None:
        """Watch the angle; stop at the end of the way, or when it has not come in three times the time it takes."""
        if not self.running:
            return
        near, far = self._angles()
        self._time += self._dt
        self.turned = max(self.turned, min(near - self._from[0], far - self._from[1]))
        if near - self._from[0] >= self._angle or self._time >= self._limit:
            self._set(running=False)

    def _set(self, *, running: bool) -> None:
        self.running = running
        bullet.setJointMotorControl2(
            self._uid,
            self._link,
            bullet.VELOCITY_CONTROL,
            targetVelocity=self._speed if running else 0.0,
            force=self._torque if running else self._drag,
            physicsClientId=self._client,
        )

    def reset(self) -> None:
        """It stands, and nothing has turned."""
        self._from = (0.0, 0.0)
        self._time = self.turned = 0.0
        self._set(running=False)

    def snapshot(self) -> object:
        """Whether it runs, since when and from where, and what has turned."""
        return self.running, self._from, self._time, self.turned

    def restore(self, saved: object) -> None:
        """Go back to a snapshot; Bullet's own state leaves out motors."""
        running, self._from, self._time, self.turned = saved  # type: ignore[misc]
        self._set(running=running)  # type: ignore[has-type]
