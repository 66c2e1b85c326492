"""A sensor of the force between two bodies."""

from ..bullet import bullet
from ..cell import Cell


class ForceGauge:
    """Force between two bodies, or between one and the arm, as a sensor of limited bandwidth reads it.

    Bullet's solver gives an impulse per substep; one of them alone is no force that any sensor or part would feel, so
    they are low-passed.

    Attributes:
        force: Newest reading, N.
        peak: Greatest reading since the reset, N.
    """

    def __init__(self, cell: Cell, body: str, other: str | None = None, *, time_constant: float = 0.01) -> None:
        """Watch a pair.

        Args:
            cell: Where.
            body: One body.
            other: The other; the arm if not given.
            time_constant: Of the low-pass, s.
        """
        self._client = cell.client
        self._body = cell.uid(body)
        self._other = cell.arm if other is None else cell.uid(other)
        self._share = cell.physics_dt / (time_constant + cell.physics_dt)
        self.force = self.peak = 0.0
        self.reset()

    def aim(self, cell: Cell, body: str, other: str | None = None) -> None:
        """Watch another pair from now on; for tasks whose parts differ from level to level."""
        self._body = cell.uid(body)
        self._other = cell.arm if other is None else cell.uid(other)

    def substep(self) -> None:
        """Read the contacts of this substep."""
        points = bullet.getContactPoints(self._body, self._other, physicsClientId=self._client)
        x = y = z = 0.0
        for p in points:
            normal, force = p[7], p[9]
            x += normal[0] * force + p[10] * p[11][0] + p[12] * p[13][0]
            y += normal[1] * force + p[10] * p[11][1] + p[12] * p[13][1]
            z += normal[2] * force + p[10] * p[11][2] + p[12] * p[13][2]
        share = self._share
        self._x += share * (x - self._x)
        self._y += share * (y - self._y)
        self._z += share * (z - self._z)
        self.force = (self._x * self._x + self._y * self._y + self._z * self._z) ** 0.5
        self.peak = max(self.peak, self.force)

    def reset(self) -> None:
        """Nothing has been felt yet."""
        self._x = self._y = self._z = 0.0
        self.force = self.peak = 0.0

    def snapshot(self) -> object:
        """Pair, filter and peak."""
        return self._body, self._other, self._x, self._y, self._z, self.force, self.peak

    def restore(self, saved: object) -> None:
        """Go back to a snapshot."""
        self._body, self._other, self._x, self._y, self._z, self.force, self.peak = saved  # type: ignore[misc]
