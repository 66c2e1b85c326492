"""Cubes poured into a bin: settled once, kept in a file, so that a reset need not wait until a heap has come to rest.

`sim_assets/piles/cubes.json` holds heaps of 5 to 10 cubes that `pour` made; mirrored along either side of the bin each
gives four. Regenerate the file with `write(number)` where edge, bin or engine change.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...robots.assets import asset_root
from ...robots.catalogue import load_robot
from ..body import Body, Box, Colour, Quaternion, Triple
from ..bullet import bullet
from ..cell import Cell
from ..experts.grasping import best, grasps
from ..layout import Part
from .fixtures import tray

EDGE = 0.024  # m
MASS = 0.037  # kg, aluminium
INNER = (0.200, 0.150)  # m, width of the bin's floor along its x and y, inside the curb
FINGER_END = 0.0335  # m from the middle of a cube to the outside of a finger that stands open around it
CURB, CURB_HEIGHT = 0.010, 0.0035  # m, of the step along the walls
COUNTS = (5, 6, 7, 8, 9, 10)
FREE = (INNER[0] + 2.0 * CURB, INNER[1] + 2.0 * CURB)  # m, between the walls
FLOOR, RIM, WALL = 0.002, 0.033, 0.003  # m
HERE = (0.0, 0.0, 0.0, 0.0)
VARIANTS = 4
HIGH = 0.085  # m over the bin's underside from which cubes drop
HIGHEST = 0.050  # m over the bin's underside: two layers
DROPS = 120  # tries for all cubes of a heap
ABOVE = 1.0  # m over the table where heaps are made, away from the arm

Pose = tuple[Triple, Quaternion]


def bin_body(name: str) -> Body:
    """The bin that heaps were poured into: a low curb keeps cubes off the walls, and fingers pass over it."""
    a, b = 0.5 * INNER[0], 0.5 * INNER[1]
    colour: Colour = (0.20, 0.36, 0.60, 1.0)
    box = tray(name, inner=FREE, wall=WALL, rim=RIM, floor=FLOOR, colour=colour, ground=(0.55, 0.62, 0.70, 1.0))
    high, half = FLOOR + 0.5 * CURB_HEIGHT, 0.5 * CURB_HEIGHT
    curb = [
        *[Box(half=(a + CURB, 0.5 * CURB, half), at=(0.0, s * (b + 0.5 * CURB), high), colour=colour) for s in (-1, 1)],
        *[Box(half=(0.5 * CURB, b, half), at=(s * (a + 0.5 * CURB), 0.0, high), colour=colour) for s in (-1, 1)],
    ]
    return Body(name=name, boxes=(*box.boxes, *curb))


def piles_file() -> Path:
    """Where heaps are kept."""
    return asset_root() / "piles" / "cubes.json"


@lru_cache(maxsize=1)
def stored() -> dict[int, list[list[Pose]]]:
    """All heaps of the file by number of cubes, in the bin's frame."""
    table = json.loads(piles_file().read_text(encoding="utf-8"))
    return {int(count): [[_pose(row) for row in heap] for heap in heaps] for count, heaps in table.items()}


def heap(count: int, number: int) -> list[Pose]:
    """One of the heaps of `count` cubes; `number` runs through all of them and all their mirror images."""
    heaps = stored()[count]
    which, variant = divmod(number, VARIANTS)
    poses = list(heaps[which])
    if variant & 1:
        poses = [((-x, y, z), (a, -b, -c, w)) for (x, y, z), (a, b, c, w) in poses]
    if variant & 2:
        poses = [((x, -y, z), (-a, b, -c, w)) for (x, y, z), (a, b, c, w) in poses]
    return poses


def heaps_of(count: int) -> int:
    """How many heaps of `count` cubes there are, mirror images included."""
    return VARIANTS * len(stored()[count])


def pour(seed: int) -> dict[int, list[Pose]]:
    """Drop up to ten cubes one after another into a bin and note how they lie from the fifth on.

    A cube that does not come to rest inside, or after which some cube would lie where no finger reaches it however
    many others were taken out before, is taken back and dropped elsewhere: heaps are random, but can be cleared.

    Args:
        seed: Of the places and turns from which they drop.

    Returns:
        Heaps by number of cubes, up to where no further cube found a place.
    """
    rng = np.random.default_rng(seed)
    found: dict[int, list[Pose]] = {}
    lying: list[Pose] = []
    with Cell(load_robot("so101")) as cell:
        cell.add(bin_body("bin"))
        names = [f"cube_{k}" for k in range(max(COUNTS))]
        for name in names:
            cell.add(Part(name=name, size=(EDGE, EDGE, EDGE), mass=MASS, colour=(1.0, 1.0, 1.0, 1.0)).body())
        for _ in range(DROPS):
            count = len(lying) + 1
            cell.begin_reset()
            cell.place("bin", (0.0, 0.0, ABOVE))
            turn = rng.standard_normal(4)
            x, y, z, w = (turn / np.linalg.norm(turn)).tolist()
            a, b = (rng.uniform(-1.0, 1.0, 2) * (0.5 * np.array(INNER) - EDGE)).tolist()
            for name, (at, how) in zip(names, [*lying, ((a, b, HIGH), (x, y, z, w))], strict=False):
                cell.place(name, (at[0], at[1], at[2] + ABOVE), how)
            if not _rest(cell, names[:count]):
                continue
            poses = [_below(cell.pose(name)) for name in names[:count]]
            if not all(_lies_well(at) for at, _ in poses) or not _clears(poses):
                continue
            lying = poses
            if count in COUNTS:
                found[count] = poses
            if count == max(COUNTS):
                break
    return found


def collect(number: int) -> dict[str, list[list[list[int]]]]:
    """Make `number` heaps of each size, as the file holds them."""
    table: dict[str, list[list[list[int]]]] = {str(count): [] for count in COUNTS}
    seed = 0
    while min(len(heaps) for heaps in table.values()) < number:
        for count, poses in pour(seed).items():
            if len(table[str(count)]) < number:
                table[str(count)].append([_row(pose) for pose in poses])
        seed += 1
    return table


def write(number: int, path: Path | None = None) -> None:
    """Make `number` heaps of each size and store them.

    Args:
        number: How many.
        path: Where to; the package's own file if not given.
    """
    target = path or piles_file()
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(collect(number), separators=(",", ":")) + "\n", encoding="utf-8")


def _rest(cell: Cell, names: Sequence[str]) -> bool:
    """Let time pass until nothing has moved for a while."""
    still = 0
    for _ in range(240 * 4):
        bullet.stepSimulation(cell.client)
        moving = max(max(cell.speed(name)[0], 0.02 * cell.speed(name)[1]) for name in names)
        still = still + 1 if moving < 0.003 else 0
        if still >= 60:
            return True
    return False


def _below(pose: Pose) -> Pose:
    (x, y, z), turn = pose
    return (x, y, z - ABOVE), turn


def _lies_well(at: Triple) -> bool:
    """Inside, and not so close to a wall that a gripper's palm would meet it."""
    return (
        abs(at[0]) < 0.5 * INNER[0] - 0.6 * EDGE and abs(at[1]) < 0.5 * INNER[1] - 0.6 * EDGE and 0.0 < at[2] < HIGHEST
    )


def _clears(poses: Sequence[Pose]) -> bool:
    """Whether all cubes can be taken out one after another, as if none stirred when another goes."""
    left = list(poses)
    while left:
        found = grasps(
            left,
            range(len(left)),
            half=0.5 * EDGE,
            far=FINGER_END,
            box=(0.0, 0.0, 0.0, 0.0),
            inner=INNER,
        )
        if not found:
            return False
        grasp = best(found, {})
        if grasp.room < 0.001:
            return False
        del left[grasp.part]
    return True


def _row(pose: Pose) -> list[int]:
    """Position in 10 um, quaternion in 1e-5."""
    return [round(1e5 * v) for v in (*pose[0], *pose[1])]


def _pose(row: Sequence[int]) -> Pose:
    x, y, z, a, b, c, w = (1e-5 * v for v in row)
    size = (a * a + b * b + c * c + w * w) ** 0.5
    return (x, y, z), (a / size, b / size, c / size, w / size)
