"""One work cell: one Bullet client with an arm, static fixtures and loose parts, reset exact to the bit.

Bullet keeps a contact cache that outlives any repositioning, so a world that was merely put back is not the
world it was. `begin_reset` therefore parks every loose body in its own far slot and refreshes the collision
pairs before anything is placed; with deterministic pairs that makes a reset independent of all history.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, cos, pi, sin, sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from ..robots.description import RobotDescription
from ..robots.errors import RefusedError
from ..robots.urdf import read_urdf
from .bullet import bullet, quiet, window_possible
from .fold import fold_fixed_links

Triple = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Colour = tuple[float, float, float, float]

# m above and beside the table, farther than any contact cache reaches. Below it a body would lie deep inside the plane
# and bring that contact along from the second episode on.
PARK_DISTANCE = 50.0
TABLE_THICKNESS = 0.03  # m
UPRIGHT: Quaternion = (0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box of a body, in the body's frame.

    Attributes:
        half: Half extents, m.
        at: Centre, m.
        turn: Orientation xyzw.
        colour: RGBA.
        solid: Whether it collides; a mere marking does not.
    """

    half: Triple
    at: Triple = (0.0, 0.0, 0.0)
    turn: Quaternion = UPRIGHT
    colour: Colour = (0.7, 0.7, 0.7, 1.0)
    solid: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A part or fixture made of boxes.

    Attributes:
        name: Its name in the cell.
        boxes: Its shapes.
        mass: kg; 0 for a fixture that nothing moves.
        friction: Coefficient; Bullet multiplies those of the two bodies in contact.
    """

    name: str
    boxes: tuple[Box, ...]
    mass: float = 0.0
    friction: float = 1.0


class Cell:
    """The simulated world of one episode after another."""

    def __init__(self, robot: RobotDescription, *, physics_rate_hz: int = 240, human: bool = False) -> None:
        """Open a client and load the arm.

        Args:
            robot: The arm, fixed with its base frame at the world's origin; the table top is z = 0.
            physics_rate_hz: Substeps per second.
            human: Open Bullet's window instead of running headless.

        Raises:
            RefusedError: If the URDF is unsafe or no window can be opened.
        """
        self.robot = robot
        read_urdf(robot.urdf_path)
        self.client = -1
        if not human or window_possible():
            self.client = bullet.connect(bullet.GUI if human else bullet.DIRECT)
        if self.client < 0:
            raise RefusedError("Bullet cannot open a window here; use render_mode='rgb_array', which needs no display")
        self.physics_dt = 1.0 / physics_rate_hz
        self._parts: dict[str, int] = {}
        self._loose: list[int] = []
        self._saved: dict[int, object] = {}
        c = self.client
        # With a handful of bodies testing all pairs is cheaper than keeping a tree of them.
        bullet.resetSimulation(bullet.RESET_USE_SIMPLE_BROADPHASE, physicsClientId=c)
        bullet.setPhysicsEngineParameter(
            enableFileCaching=0,
            deterministicOverlappingPairs=1,
            solverResidualThreshold=1e-4,
            fixedTimeStep=self.physics_dt,
            numSubSteps=0,
            physicsClientId=c,
        )
        bullet.setGravity(0.0, 0.0, -9.81, physicsClientId=c)
        self.arm = self._load_arm()
        self.table = self._add_table()

    def _load_arm(self) -> int:
        flags = bullet.URDF_USE_INERTIA_FROM_FILE | bullet.URDF_USE_IMPLICIT_CYLINDER
        text = fold_fixed_links(self.robot.urdf_path.read_text(encoding="utf-8"))
        with TemporaryDirectory(prefix="genba-") as folder, quiet():
            path = Path(folder) / self.robot.urdf_path.name
            path.write_text(text, encoding="utf-8")
            arm: int = bullet.loadURDF(str(path), useFixedBase=True, flags=flags, physicsClientId=self.client)
        return arm

    def _add_table(self) -> int:
        """A table whose top is z = 0; finite, because an endless plane is every link's neighbour at every substep."""
        c = self.client
        low, high = self.robot.limits.workspace_lower, self.robot.limits.workspace_upper
        half = [0.5 * (high[0] + 0.18), 0.5 * (high[1] - low[1]) + 0.02, 0.5 * TABLE_THICKNESS]
        centre = [0.5 * (high[0] - 0.12), 0.5 * (low[1] + high[1]), -0.5 * TABLE_THICKNESS]
        solid = bullet.createCollisionShape(bullet.GEOM_BOX, halfExtents=half, physicsClientId=c)
        drawn = bullet.createVisualShape(
            bullet.GEOM_BOX, halfExtents=half, rgbaColor=[0.70, 0.73, 0.76, 1.0], physicsClientId=c
        )
        table: int = bullet.createMultiBody(0.0, solid, drawn, centre, physicsClientId=c)
        bullet.changeDynamics(table, -1, lateralFriction=1.0, physicsClientId=c)
        # The base is bolted to it: two bodies that never move need no contact between them.
        bullet.setCollisionFilterPair(self.arm, table, -1, -1, 0, physicsClientId=c)
        return table

    def add(self, body: Body) -> int:
        """Put a body into the cell, parked out of the way.

        Args:
            body: What to add.

        Returns:
            Its Bullet id, for contact queries.
        """
        c = self.client
        solid = [b for b in body.boxes if b.solid]
        shape = -1
        if solid:
            shape = bullet.createCollisionShapeArray(
                shapeTypes=[bullet.GEOM_BOX] * len(solid),
                halfExtents=[list(b.half) for b in solid],
                collisionFramePositions=[list(b.at) for b in solid],
                collisionFrameOrientations=[list(b.turn) for b in solid],
                physicsClientId=c,
            )
        visual = bullet.createVisualShapeArray(
            shapeTypes=[bullet.GEOM_BOX] * len(body.boxes),
            halfExtents=[list(b.half) for b in body.boxes],
            visualFramePositions=[list(b.at) for b in body.boxes],
            visualFrameOrientations=[list(b.turn) for b in body.boxes],
            rgbaColors=[list(b.colour) for b in body.boxes],
            physicsClientId=c,
        )
        uid: int = bullet.createMultiBody(body.mass, shape, visual, physicsClientId=c)
        if shape >= 0:
            bullet.changeDynamics(
                uid,
                -1,
                lateralFriction=body.friction,
                frictionAnchor=int(body.mass > 0.0),
                linearDamping=0.0,
                angularDamping=0.0,
                physicsClientId=c,
            )
        self._parts[body.name] = uid
        if body.mass > 0.0:
            self._loose.append(uid)
        return uid

    def begin_reset(self) -> None:
        """Forget every contact: park all loose bodies far apart and refresh the collision pairs."""
        c = self.client
        for k, uid in enumerate(self._loose):
            slot = [PARK_DISTANCE * (k + 1), 0.0, PARK_DISTANCE]
            bullet.resetBasePositionAndOrientation(uid, slot, UPRIGHT, physicsClientId=c)
            bullet.resetBaseVelocity(uid, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], physicsClientId=c)
        bullet.performCollisionDetection(physicsClientId=c)

    def place(self, name: str, position: Sequence[float], orientation: Sequence[float] = UPRIGHT) -> None:
        """Set a body somewhere, at rest.

        Args:
            name: The body.
            position: m.
            orientation: Quaternion xyzw.
        """
        uid = self._parts[name]
        bullet.resetBasePositionAndOrientation(uid, position, orientation, physicsClientId=self.client)
        bullet.resetBaseVelocity(uid, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], physicsClientId=self.client)

    def pose(self, name: str) -> tuple[Triple, Quaternion]:
        """Position in m and quaternion xyzw of a body."""
        at, turn = bullet.getBasePositionAndOrientation(self._parts[name], self.client)
        return at, turn

    def speed(self, name: str) -> tuple[float, float]:
        """Speed in m/s and angular speed in rad/s of a body."""
        (vx, vy, vz), (wx, wy, wz) = bullet.getBaseVelocity(self._parts[name], self.client)
        return sqrt(vx * vx + vy * vy + vz * vz), sqrt(wx * wx + wy * wy + wz * wz)

    def touches_arm(self, name: str) -> bool:
        """Whether a body is in contact with the arm, fingers included."""
        points = bullet.getContactPoints(self._parts[name], self.arm, physicsClientId=self.client)
        return any(p[8] <= 1e-4 for p in points)

    def touches_fingers(self, name: str, links: Sequence[int]) -> int:
        """How many of the given arm links press on a body."""
        points = bullet.getContactPoints(self._parts[name], self.arm, physicsClientId=self.client)
        return len({p[4] for p in points if p[4] in links and p[9] > 0.0})

    def hide(self, name: str) -> None:
        """Take a body out of the cell until it is placed again."""
        self.place(name, (0.0, 0.0, -PARK_DISTANCE))

    def save(self) -> int:
        """Keep the whole physical state in memory; returns an id for `restore` and `forget`."""
        state: int = bullet.saveState(physicsClientId=self.client)
        return state

    def restore(self, state: int) -> None:
        """Go back to a saved state, bit for bit.

        Bullet restores contacts only of pairs that exist: the first call brings the bodies together again, the
        collision pass makes their pairs, the second call fills them.
        """
        bullet.restoreState(state, physicsClientId=self.client)
        bullet.performCollisionDetection(physicsClientId=self.client)
        bullet.restoreState(state, physicsClientId=self.client)

    def forget(self, state: int) -> None:
        """Free a saved state."""
        bullet.removeState(state, physicsClientId=self.client)

    def close(self) -> None:
        """Close the client; may be called twice."""
        if self.client >= 0:
            bullet.disconnect(self.client)
            self.client = -1

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close on leaving."""
        self.close()

    def __del__(self) -> None:
        """Free the client when a cell is dropped without `close`."""
        if getattr(self, "client", -1) >= 0:
            self.close()


def about_z(yaw: float) -> Quaternion:
    """Quaternion xyzw of a turn about the vertical, rad."""
    return 0.0, 0.0, sin(0.5 * yaw), cos(0.5 * yaw)


def yaw_and_tilt(orientation: Quaternion, symmetry: int) -> tuple[float, float]:
    """Yaw of a part about the vertical and the tilt of its nearest face from level, rad.

    A part of symmetry 4 is a cube: any face may lie below. Others must stand on their own base.

    Args:
        orientation: Quaternion xyzw.
        symmetry: Number of yaw turns under which the part looks the same.
    """
    x, y, z, w = orientation
    rotation = (
        (1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)),
        (2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)),
        (2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)),
    )
    if symmetry == 4:
        up = max(range(3), key=lambda k: abs(rotation[k][2]))
        side = rotation[(up + 1) % 3]
        rise = abs(rotation[up][2])
    else:
        side = rotation[0]
        rise = rotation[2][2]
    yaw = atan2(side[1], side[0])
    turn = 2.0 * pi / symmetry
    yaw -= turn * round(yaw / turn)
    return yaw, atan2(sqrt(max(0.0, 1.0 - rise * rise)), rise)
