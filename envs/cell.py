"""One work cell: one Bullet client with an arm, static fixtures and loose parts, reset exact to the bit.

Bullet keeps a contact cache that outlives any repositioning, so a world that was merely put back is not the
world it was. `begin_reset` therefore parks every loose body in its own far slot and refreshes the collision
pairs before anything is placed; with deterministic pairs that makes a reset independent of all history.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from ..robots.description import RobotDescription
from ..robots.errors import RefusedError
from ..robots.urdf import read_urdf
from .body import UPRIGHT, Body, Box, Quaternion, Shape, Triple, mechanism_urdf, scaled
from .bullet import bullet, quiet, window_possible
from .device import Device
from .fold import fold_fixed_links
from .randomize import Draw
from .rest import Rest, Sleepers

# m above and beside the table, farther than any contact cache reaches. Below it a body would lie deep inside the plane
# and bring that contact along from the second episode on.
PARK_DISTANCE = 50.0
TABLE_THICKNESS = 0.03  # m


class Cell:
    """The simulated world of one episode after another."""

    def __init__(
        self,
        robot: RobotDescription,
        *,
        physics_rate_hz: int = 240,
        human: bool = False,
        sizes: tuple[float, ...] = (1.0,),
    ) -> None:
        """Open a client and load the arm.

        Args:
            robot: The arm, fixed with its base frame at the world's origin; the table top is z = 0.
            physics_rate_hz: Substeps per second.
            human: Open Bullet's window instead of running headless.
            sizes: Factors in which every loose part is made, see `randomize.SIZES`.

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
        self._sizes: dict[str, dict[float, tuple[int, float, float]]] = {}  # id, mass and friction of each size
        self._varied = False
        self.sizes = sizes
        self._movers: dict[tuple[str, str], int] = {}
        self.devices: list[Device] = []
        self._saved: dict[int, tuple[Sleepers, list[object]]] = {}
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
        joints = [bullet.getJointInfo(self.arm, k, c)[1].decode() for k in range(bullet.getNumJoints(self.arm, c))]
        self._gripper = joints.index(robot.gripper.joint) if robot.gripper.joint in joints else 0
        self.table = self._add_table()
        self.rest = Rest(c, self.arm)

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
            Its Bullet id, for contact queries; of a part made in several sizes, that of the nominal one.
        """
        uid = self._add_mechanism(body) if body.movers else self._add_rigid(body)
        self._parts[body.name] = uid
        if body.movers:
            self.rest.add_mechanism(uid)
        if body.mass > 0.0:
            self._loose.append(uid)
            self._sizes[body.name] = {1.0: (uid, body.mass, body.friction)}
            for size in self.sizes:
                if size != 1.0:
                    other = self._add_rigid(scaled(body, size))
                    self._loose.append(other)
                    self._sizes[body.name][size] = other, body.mass * size**3, body.friction
        return uid

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the loose parts, in the order in which they were added."""
        return tuple(self._sizes)

    def vary(self, draw: Draw | None) -> None:
        """Choose sizes, masses and friction of the parts, before they are placed.

        Args:
            draw: One factor per part; None for parts as designed.
        """
        if draw is None and not self._varied:
            return
        self._varied = draw is not None
        for k, (name, made) in enumerate(self._sizes.items()):
            size, mass, friction = (1.0, 1.0, 1.0) if draw is None else (
                draw.part_size, draw.part_mass[k], draw.part_friction[k]
            )  # fmt: skip
            uid, own_mass, own_friction = made[size]
            self._parts[name] = uid
            bullet.changeDynamics(
                uid, -1, mass=own_mass * mass, lateralFriction=own_friction * friction, physicsClientId=self.client
            )

    def _add_rigid(self, body: Body) -> int:
        c = self.client
        solid = [b for b in body.boxes if b.solid]
        shape = -1
        if solid:
            shape = bullet.createCollisionShapeArray(
                **_arrays(solid),
                collisionFramePositions=[list(b.at) for b in solid],
                collisionFrameOrientations=[list(b.turn) for b in solid],
                physicsClientId=c,
            )
        visual = bullet.createVisualShapeArray(
            **_arrays(body.boxes),
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
        return uid

    def _add_mechanism(self, body: Body) -> int:
        c = self.client
        with TemporaryDirectory(prefix="genba-") as folder, quiet():
            path = Path(folder) / f"{body.name}.urdf"
            path.write_text(mechanism_urdf(body), encoding="utf-8")
            flags = bullet.URDF_USE_INERTIA_FROM_FILE | bullet.URDF_USE_IMPLICIT_CYLINDER
            uid: int = bullet.loadURDF(str(path), useFixedBase=True, flags=flags, physicsClientId=c)
        for link in range(-1, len(body.movers)):
            bullet.changeDynamics(
                uid,
                link,
                lateralFriction=body.friction,
                linearDamping=0.0,
                angularDamping=0.0,
                jointDamping=0.0,
                physicsClientId=c,
            )
        names = {bullet.getJointInfo(uid, k, c)[1].decode(): k for k in range(len(body.movers))}
        for mover in body.movers:
            link = names[mover.name]
            self._movers[body.name, mover.name] = link
            self._arm_mover(uid, link, mover.spring, mover.friction)
        return uid

    def _arm_mover(self, uid: int, link: int, spring: float, friction: float) -> None:
        """Bullet's motor as dry friction, or as what pulls back to 0."""
        mode = bullet.POSITION_CONTROL if spring else bullet.VELOCITY_CONTROL
        gains = {"targetPosition": 0.0, "positionGain": 0.1, "velocityGain": 1.0} if spring else {"targetVelocity": 0.0}
        bullet.setJointMotorControl2(
            uid, link, mode, force=spring if spring else friction, physicsClientId=self.client, **gains
        )

    def begin_reset(self) -> None:
        """Forget every contact: park all loose bodies far apart and refresh the collision pairs."""
        c = self.client
        self.rest.clear()
        for k, uid in enumerate(self._loose):
            slot = [PARK_DISTANCE * (k + 1), 0.0, PARK_DISTANCE]
            bullet.resetBasePositionAndOrientation(uid, slot, UPRIGHT, physicsClientId=c)
            bullet.resetBaseVelocity(uid, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], physicsClientId=c)
        for device in self.devices:
            device.reset()
        bullet.performCollisionDetection(physicsClientId=c)

    def stepper(self) -> Callable[[int], None]:
        """What lets one substep pass; takes the client's id. Devices cost nothing where there are none."""
        return self._step_with_devices if self.devices else bullet.stepSimulation

    def _step_with_devices(self, client: int) -> None:
        bullet.stepSimulation(client)
        for device in self.devices:
            device.substep()

    def place(self, name: str, position: Sequence[float], orientation: Sequence[float] = UPRIGHT) -> None:
        """Set a body somewhere, at rest.

        Args:
            name: The body.
            position: m.
            orientation: Quaternion xyzw.
        """
        uid = self._parts[name]
        if uid in self._loose:
            self.rest.placed(uid, position[2])
        else:
            self.rest.wake()
        bullet.resetBasePositionAndOrientation(uid, position, orientation, physicsClientId=self.client)
        bullet.resetBaseVelocity(uid, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], physicsClientId=self.client)

    def drive(self, name: str, velocity: Sequence[float], turn: Sequence[float] = (0.0, 0.0, 0.0)) -> None:
        """Give a body a velocity; a fixture keeps it for good and glides, which is how a belt is made.

        Args:
            name: The body.
            velocity: m/s.
            turn: rad/s.
        """
        self.rest.wake()
        bullet.resetBaseVelocity(self._parts[name], velocity, turn, physicsClientId=self.client)

    def uid(self, name: str) -> int:
        """Bullet's id of a body, for devices and renderers."""
        return self._parts[name]

    def mover(self, name: str, mover: str) -> tuple[float, float]:
        """Position (m or rad) and speed of a mover."""
        state = bullet.getJointState(self._parts[name], self._movers[name, mover], self.client)
        return state[0], state[1]

    def set_mover(self, name: str, mover: str, position: float) -> None:
        """Put a mover somewhere, at rest, m or rad."""
        bullet.resetJointState(self._parts[name], self._movers[name, mover], position, 0.0, self.client)

    def mover_link(self, name: str, mover: str) -> int:
        """Bullet's link index of a mover, for devices."""
        return self._movers[name, mover]

    def pose(self, name: str) -> tuple[Triple, Quaternion]:
        """Position in m and quaternion xyzw of a body."""
        at, turn = bullet.getBasePositionAndOrientation(self._parts[name], self.client)
        return at, turn

    def velocity(self, name: str) -> tuple[Triple, Triple]:
        """Velocity in m/s and angular velocity in rad/s of a body."""
        linear, angular = bullet.getBaseVelocity(self._parts[name], self.client)
        return linear, angular

    def speed(self, name: str) -> tuple[float, float]:
        """Speed in m/s and angular speed in rad/s of a body."""
        (vx, vy, vz), (wx, wy, wz) = bullet.getBaseVelocity(self._parts[name], self.client)
        return sqrt(vx * vx + vy * vy + vz * vz), sqrt(wx * wx + wy * wy + wz * wz)

    def gripper(self) -> float:
        """True position of the gripper, rad or m."""
        position: float = bullet.getJointState(self.arm, self._gripper, self.client)[0]
        return self.robot.gripper.turned(position)

    def touching_arm(self) -> frozenset[int]:
        """Ids (see `uid`) of all bodies that are in contact with the arm, fingers included."""
        points = bullet.getContactPoints(self.arm, physicsClientId=self.client)
        arm = self.arm
        return frozenset([p[2] if p[1] == arm else p[1] for p in points if p[8] <= 1e-4])

    def touches_arm(self, name: str) -> bool:
        """Whether a body is in contact with the arm, fingers included."""
        points = bullet.getContactPoints(self._parts[name], self.arm, physicsClientId=self.client)
        return any(p[8] <= 1e-4 for p in points)

    def touches(self, name: str, other: str) -> bool:
        """Whether two bodies are in contact."""
        points = bullet.getContactPoints(self._parts[name], self._parts[other], physicsClientId=self.client)
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
        self._saved[state] = self.rest.snapshot(), [deepcopy(device.snapshot()) for device in self.devices]
        return state

    def restore(self, state: int) -> None:
        """Go back to a saved state, bit for bit.

        Bullet restores contacts only of pairs that exist: the first call brings the bodies together again, the
        collision pass makes their pairs, the second call fills them.
        """
        sleepers, devices = self._saved[state]
        self.rest.restore(sleepers)
        bullet.restoreState(state, physicsClientId=self.client)
        bullet.performCollisionDetection(physicsClientId=self.client)
        bullet.restoreState(state, physicsClientId=self.client)
        for device, saved in zip(self.devices, devices, strict=True):
            device.restore(deepcopy(saved))

    def forget(self, state: int) -> None:
        """Free a saved state."""
        bullet.removeState(state, physicsClientId=self.client)
        del self._saved[state]

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


def _arrays(shapes: Sequence[Shape]) -> dict[str, list[object]]:
    """Arguments by which Bullet makes several shapes at once; each list has an entry for every shape."""
    boxes = [isinstance(s, Box) for s in shapes]
    return {
        "shapeTypes": [bullet.GEOM_BOX if box else bullet.GEOM_CYLINDER for box in boxes],
        "halfExtents": [list(s.half) if isinstance(s, Box) else [0.0, 0.0, 0.0] for s in shapes],
        "radii": [0.0 if isinstance(s, Box) else s.radius for s in shapes],
        "lengths": [0.0 if isinstance(s, Box) else s.height for s in shapes],
    }
