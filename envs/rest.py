"""Parts that lie still and far from all that moves cost nothing: they are left out of collisions until something nears.

A resting part costs as much of every substep as a tenth of the arm, and a cell has up to a dozen. Bullet's own sleeping
goes by islands of overlapping boxes, holds whole rows of parts awake for one that is touched, takes a substep to begin
and to end, and is not in its saved states. This rule is asked once per tick, looks at nothing but the cell as it is,
and belongs to every saved moment:

    stirred   moved lately, or something that moves (the arm, a mechanism, a stirred part) is within its reach
    awake     stirred, or within reach of an awake part, so that nothing ever rests on what is not there
    asleep    all others

Reach is Bullet's own margin around every box, 20 mm, and more where something is so fast that it could cover that
within one tick. A part asleep touches nothing, falls for the length of a tick and is put back to where it lay, to the
bit: free fall costs a tenth of what contacts cost.
"""

from typing import NamedTuple, TypeAlias

from .body import Quaternion, Triple
from .bullet import bullet

STILL_SPEED = 1e-3  # m/s
STILL_SPIN = 2e-2  # rad/s
STILL_TIME = 0.2  # s for which a part must have been slower than both
BULLET_MARGIN = 0.02  # m by which Bullet widens the boxes that it compares
ARM_SPEED = 0.3  # m/s that no link of an arm exceeds by much, since the envelope admits 0.25 of the tool
SLACK = 0.002  # m
LOST = -1.0  # m, height below which a part is out of the cell and only falls

STILL = (0.0, 0.0, 0.0)

DYNAMIC_GROUP, ALL = 1, -1  # what Bullet gives a body that moves: it collides with everything

Corners: TypeAlias = tuple[Triple, Triple]


class Sleeper(NamedTuple):
    """Where a part sleeps: its box, lower and upper corner in m, position in m and quaternion xyzw."""

    box: Corners
    position: Triple
    orientation: Quaternion


Sleepers: TypeAlias = tuple[dict[int, float], dict[int, Sleeper]]


class Rest:
    """Which of a cell's loose parts are asleep."""

    def __init__(self, client: int, arm: int) -> None:
        """Watch no part yet.

        Args:
            client: Bullet's client.
            arm: Body id of the arm.
        """
        self._client = client
        self._arm = arm
        self._moving = frozenset({arm})
        self._still: dict[int, float] = {}  # s for which each part in the cell has lain still
        self._asleep: dict[int, Sleeper] = {}

    def add_mechanism(self, uid: int) -> None:
        """A body whose links may move at any time; parts near it stay awake."""
        self._moving |= {uid}

    def placed(self, uid: int, height: float) -> None:
        """A part has been put somewhere: it is awake, or out of the cell if that is far below the table."""
        self._wake(uid)
        if height > LOST:
            self._still[uid] = 0.0
        else:
            self._still.pop(uid, None)

    def clear(self) -> None:
        """All parts have been taken out of the cell."""
        for uid in list(self._asleep):
            self._wake(uid)
        self._still.clear()

    def wake(self) -> None:
        """Wake every part, because something has begun to move that is no part."""
        for uid in list(self._asleep):
            self._wake(uid)
            self._still[uid] = 0.0

    @property
    def asleep(self) -> frozenset[int]:
        """Ids of the parts that are asleep now."""
        return frozenset(self._asleep)

    def tick(self, dt: float) -> None:
        """Let parts fall asleep and wake, before a tick of `dt` s begins."""
        still, c = self._still, self._client
        fastest = ARM_SPEED
        for uid, lain in still.items():
            if uid in self._asleep:
                continue
            (x, y, z), (p, q, r) = bullet.getBaseVelocity(uid, c)
            speed = x * x + y * y + z * z
            if speed < STILL_SPEED**2 and p * p + q * q + r * r < STILL_SPIN**2:
                still[uid] = lain + dt
            else:
                still[uid] = 0.0
                fastest = max(fastest, speed**0.5)
        settled = [uid for uid, lain in still.items() if lain >= STILL_TIME]
        if settled:
            self._settle(settled, max(0.0, fastest * dt + 5.0 * dt * dt + SLACK - BULLET_MARGIN))

    def _settle(self, settled: list[int], widen: float) -> None:
        """Sort the parts that lie still into those that sleep and those that do not."""
        still, c = self._still, self._client
        near: dict[int, set[int]] = {}
        boxes: dict[int, Corners] = {}
        for uid in settled:
            sleeper = self._asleep.get(uid)
            boxes[uid] = sleeper.box if sleeper else bullet.getAABB(uid, -1, c)
            (ax, ay, az), (bx, by, bz) = boxes[uid]
            low, high = (ax - widen, ay - widen, az - widen), (bx + widen, by + widen, bz + widen)
            hits = bullet.getOverlappingObjects(low, high, c) or ()
            near[uid] = {body for body, link in hits if link >= 0 or body not in self._moving}
        stirred = {uid for uid, lain in still.items() if lain < STILL_TIME}
        stirred |= {uid for uid in settled if not near[uid].isdisjoint(self._moving)}
        awake = stirred | {uid for uid in settled if not near[uid].isdisjoint(stirred)}
        rest = [uid for uid in settled if uid not in awake]
        while woken := [uid for uid in rest if not near[uid].isdisjoint(awake)]:
            awake.update(woken)
            rest = [uid for uid in rest if uid not in awake]
        for uid in settled:
            if uid in awake:
                self._wake(uid)
            elif uid not in self._asleep:
                at, turn = bullet.getBasePositionAndOrientation(uid, c)
                self._sleep(uid, Sleeper(boxes[uid], at, turn))

    def hold(self) -> None:
        """Put back what sleeps, at the end of a tick."""
        c = self._client
        for uid, sleeper in self._asleep.items():
            bullet.resetBasePositionAndOrientation(uid, sleeper.position, sleeper.orientation, physicsClientId=c)
            bullet.resetBaseVelocity(uid, STILL, STILL, physicsClientId=c)

    def _sleep(self, uid: int, sleeper: Sleeper) -> None:
        bullet.setCollisionFilterGroupMask(uid, -1, 0, 0, self._client)
        self._asleep[uid] = sleeper

    def _wake(self, uid: int) -> None:
        if self._asleep.pop(uid, None) is not None:
            bullet.setCollisionFilterGroupMask(uid, -1, DYNAMIC_GROUP, ALL, self._client)

    def snapshot(self) -> Sleepers:
        """What `restore` needs."""
        return dict(self._still), dict(self._asleep)

    def restore(self, saved: Sleepers) -> None:
        """Go back to a snapshot, before Bullet goes back to the same moment."""
        self.clear()
        still, asleep = saved
        self._still = dict(still)
        for uid, sleeper in asleep.items():
            self._sleep(uid, sleeper)
