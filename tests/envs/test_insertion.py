"""Square pegs and holes fit as geometry says, at every clearance, and force does not change it. No arm is involved."""

from collections.abc import Callable, Iterator

import pytest

from genba.envs.body import about
from genba.envs.bullet import bullet
from genba.envs.cell import Cell
from genba.envs.parts.fixtures import hole_block
from genba.envs.tasks.peg_insert import CLEARANCES, DEPTH, FLOOR, HEIGHT, WIDTHS, peg_body
from genba.robots.catalogue import load_robot

REST = FLOOR + 0.5 * HEIGHT  # m, centre of a seated peg
START = FLOOR + DEPTH + 0.5 * HEIGHT  # m, centre of a peg that stands on the mouth
LEVELS = range(len(CLEARANCES))
AWAY = 0.45  # m, where the block stands, beside the parked arm
MASS = 2.0  # kg, of the peg with the ram that pushes it
STIFFNESS, DAMPING = 20000.0, 200.0  # N/m and N s/m with which the ram keeps its place, as a good arm does
TWIST, TWIST_DAMPING = 8.0, 0.04  # N m/rad and N m s/rad


class Ram:
    """A block with a hole and a peg that is pushed straight down by a ram somewhat beside its axis."""

    def __init__(self, level: int) -> None:
        self.cell = Cell(load_robot("panda"))
        self.play = 0.5 * CLEARANCES[level]
        self.peg = self.cell.add(peg_body("peg", WIDTHS[level], MASS))
        self.block = self.cell.add(hole_block("block", WIDTHS[level] + CLEARANCES[level], depth=DEPTH, chamfer=0.0))

    def press(self, *, off: float = 0.0, force: float = 10.0, lean: float = 0.0) -> float:
        """Push for two seconds, during the first of them ever harder.

        Args:
            off: How far the ram stands beside the axis, m.
            force: Downward, the peg's weight included, N.
            lean: Tilt at which the ram holds the peg, rad.

        Returns:
            Height of the peg's centre above its seat at the end, m.
        """
        cell, c = self.cell, self.cell.client
        cell.begin_reset()
        cell.place("block", (AWAY, AWAY, 0.0))
        cell.place("peg", (AWAY + off, AWAY, START), about((0.0, 1.0, 0.0), lean))
        self.deepest = 0.0
        for k in range(480):
            (x, y, z), turn = cell.pose("peg")
            (vx, vy, vz), (wx, wy, wz) = cell.velocity("peg")
            push = (
                STIFFNESS * (AWAY + off - x) - DAMPING * vx,
                STIFFNESS * (AWAY - y) - DAMPING * vy,
                9.81 * MASS - force * min(1.0, k / 240) - 200.0 * vz,
            )
            roll, pitch, yaw = bullet.getEulerFromQuaternion(turn)
            twist = [
                -TWIST * roll - TWIST_DAMPING * wx,
                TWIST * (lean - pitch) - TWIST_DAMPING * wy,
                -TWIST * yaw - TWIST_DAMPING * wz,
            ]
            bullet.applyExternalForce(self.peg, -1, push, [x, y, z], bullet.WORLD_FRAME, c)
            bullet.applyExternalTorque(self.peg, -1, twist, bullet.WORLD_FRAME, c)
            bullet.stepSimulation(c)
            points = bullet.getContactPoints(self.peg, self.block, physicsClientId=c)
            self.deepest = max([self.deepest, *[-p[8] for p in points]])
        return float(cell.pose("peg")[0][2] - REST)


Make = Callable[..., Ram]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Ram] = []

    def build(level: int) -> Ram:
        made.append(Ram(level))
        return made[-1]

    yield build
    for each in made:
        each.cell.close()


@pytest.mark.parametrize("level", LEVELS)
def test_peg_goes_in_if_it_is_off_axis_by_less_than_its_play_and_stays_out_if_by_more(level: int, make: Make) -> None:
    """Of a hole with a sharp mouth the boundary lies where geometry has it, at every clearance and on either side."""
    ram = make(level)
    for share in (0.0, 0.8, -0.8):
        assert abs(ram.press(off=share * ram.play)) < 0.0003, share
    for share in (1.2, -1.2):
        assert ram.press(off=share * ram.play) > DEPTH - 0.001, share


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("force", [5.0, 20.0, 80.0])
def test_force_does_not_take_the_place_of_aim(level: int, force: float, make: Make) -> None:
    """20 N is what the task allows; 80 N is far beyond it, and still does not push a misaligned peg through."""
    ram = make(level)
    for off in (1.2 * ram.play, ram.play + 0.001):
        assert ram.press(off=off, force=force) > DEPTH - 0.001, off
        assert ram.deepest < 0.001, off


@pytest.mark.parametrize("level", [2, 3, 4])
def test_peg_that_leans_more_than_its_clearance_allows_does_not_reach_the_bottom(level: int, make: Make) -> None:
    ram = make(level)
    assert ram.press(lean=4.0 * CLEARANCES[level] / DEPTH, force=20.0) > 0.003
    assert abs(ram.press(force=20.0)) < 0.0003
