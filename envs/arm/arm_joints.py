"""The joints of an arm in Bullet: found by name, freed of Bullet's own motors, with rotors and what they carry."""

from collections.abc import Sequence

from ...robots.errors import RefusedError
from ...robots.servo import Drive
from ..bullet import bullet
from ..cell import Cell
from .fingers import Fingers
from .rotors import add_rotor, rotor_shares


class ArmJoints:
    """What of one arm Bullet knows by numbers.

    Attributes:
        ids: Bullet's numbers of the arm's joints, the gripper's, and those of the fingers that follow it.
        by_name: Bullet's number of each joint, passive and fixed ones included.
        links: Bullet's number of each link.
        followers: Fingers that follow the gripper's joint.
        fingers: Where one servo slides fingers by a crank; else None.
    """

    def __init__(self, cell: Cell, drives: Sequence[Drive]) -> None:
        """Find the joints, free them of Bullet's motors and add the rotors' inertia.

        Args:
            cell: The cell the arm stands in.
            drives: Of each joint, gripper last.

        Raises:
            RefusedError: If the URDF lacks a joint that the arm's description names.
        """
        self._cell = cell
        robot = cell.robot
        self.by_name: dict[str, int] = {}
        self.links: dict[str, int] = {}
        for k in range(bullet.getNumJoints(cell.arm, cell.client)):
            info = bullet.getJointInfo(cell.arm, k, cell.client)
            self.by_name[info[1].decode()] = k
            self.links[info[12].decode()] = k
        wanted = (*robot.actuator_names, *robot.gripper.followers, *(p.name for p in robot.passive))
        missing = [name for name in wanted if name not in self.by_name]
        if missing:
            raise RefusedError(f"{robot.urdf_path}: joint {missing[0]!r} of {robot.name}.toml is not there")
        self.followers = len(robot.gripper.followers)
        self.ids = [self.by_name[name] for name in wanted[: len(robot.actuator_names) + self.followers]]
        self.fingers = Fingers(cell, robot, self.ids[len(robot.joints) :]) if robot.gripper.slide else None
        self._last_mass: tuple[float, Sequence[float]] | None = None
        self._free(drives)
        for passive in robot.passive:  # light links between two motors would be more than the solver can hold
            add_rotor(cell, self.by_name[passive.name], drives[0].armature)

    def _free(self, drives: Sequence[Drive]) -> None:
        cell, robot = self._cell, self._cell.robot
        c, arm = cell.client, cell.arm
        for k in range(-1, bullet.getNumJoints(arm, c)):
            bullet.changeDynamics(arm, k, linearDamping=0.0, angularDamping=0.0, jointDamping=0.0, physicsClientId=c)
        bullet.setJointMotorControlArray(
            arm, self.ids, bullet.VELOCITY_CONTROL, forces=[0.0] * len(self.ids), physicsClientId=c
        )
        driven = [*drives, *([drives[-1]] * self.followers)]
        shares = [*rotor_shares(robot), *([1.0] * self.followers)]
        if self.fingers is not None:
            driven, shares = driven[: len(robot.joints)], shares[: len(robot.joints)]
        for joint, drive, share in zip(self.ids, driven, shares, strict=False):
            add_rotor(cell, joint, drive.armature * share)
        for link in robot.gripper.finger_links:
            if link in self.links:
                bullet.changeDynamics(arm, self.links[link], lateralFriction=1.0, frictionAnchor=1, physicsClientId=c)

    def put(self, positions: Sequence[float]) -> None:
        """Put all of them somewhere, at rest.

        Args:
            positions: One of each in `ids`, rad or m.
        """
        bullet.resetJointStatesMultiDof(
            self._cell.arm,
            self.ids,
            [[q] for q in positions],
            [[0.0]] * len(self.ids),
            physicsClientId=self._cell.client,
        )

    def carry(self, payload: float) -> None:
        """Add mass to the link before the gripper.

        Args:
            payload: How much, kg; 0 for none.
        """
        c, arm = self._cell.client, self._cell.arm
        if payload == 0.0 and self._last_mass is None:
            return
        link = self.ids[len(self._cell.robot.joints) - 1]
        if self._last_mass is None:
            mass, _, inertia = bullet.getDynamicsInfo(arm, link, c)[:3]
            self._last_mass = mass, inertia
        mass, inertia = self._last_mass
        # A new mass alone would make Bullet forget the rotor in the link's inertia.
        bullet.changeDynamics(arm, link, mass=mass + payload, localInertiaDiagonal=inertia, physicsClientId=c)
