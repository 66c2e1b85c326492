"""Demonstrations read back as the trajectories they were, to the bit; what does not fit or is damaged is refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...envs.env import CellEnv
from ...robots.errors import RefusedError
from ...robots.strict import build, load_json
from ..training.collect import Trajectory
from .columns import ACHIEVED, ACTION, GOAL, LABEL, STATE, WHOLE_STATE
from .identity import FORMAT, Identity, check_fits, checksum
from .parquet import array_of, column_names, read_table
from .whole import EPISODES, INFO

ANEW = "write the set anew with genba demos"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstrations:
    """A dataset in memory.

    Attributes:
        path: Where it is.
        identity: What it was made of.
        digest: SHA-256 of its `info.json`, which holds those of all other files.
        trajectories: Its episodes.
    """

    path: Path
    identity: Identity
    digest: str
    trajectories: list[Trajectory]


def read(path: Path, env: CellEnv) -> Demonstrations:
    """Read the demonstrations of an environment.

    Args:
        path: Folder of the dataset.
        env: What is trained.

    Raises:
        RefusedError: If it is no dataset of genba, of something else, or damaged; the text says which.
    """
    place = path / INFO
    info = load_json(place, "the description of a dataset", missing="no demonstrations are here", cure=ANEW)
    if not isinstance(info, dict) or "genba" not in info:
        raise RefusedError(f"{path}: was not written by genba demos, so what its columns mean is not known; {ANEW}")
    table = info["genba"]
    if isinstance(table, dict) and table.get("format") != FORMAT:
        raise RefusedError(f"{place}: has format {table.get('format')!r}, this genba reads {FORMAT}; {ANEW}")
    identity = build(Identity, table, f"{place}: genba")
    check_fits(identity, env, path)
    _check_whole(path, identity)
    try:
        found = _trajectories(path, identity, env)
    except (pa.ArrowException, OSError, LookupError, ValueError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RefusedError(f"{path}: is damaged ({reason}); {ANEW}") from error
    return Demonstrations(path=path, identity=identity, digest=checksum(place), trajectories=found)


def _check_whole(path: Path, identity: Identity) -> None:
    """Hold every file to its checksum: Parquet itself does not see a flipped bit."""
    if not isinstance(identity.files, dict) or EPISODES not in identity.files:
        raise RefusedError(f"{path / INFO}: its list of files is damaged; {ANEW}")
    root = path.resolve()
    for name, wanted in identity.files.items():
        file = (root / name).resolve()
        if root not in file.parents:
            raise RefusedError(f"{path / INFO}: names the file {name!r} outside the dataset; {ANEW}")
        try:
            same = checksum(file) == wanted
        except OSError as error:
            raise RefusedError(f"{path / name}: cannot be read ({error.strerror}); {ANEW}") from error
        if not same:
            raise RefusedError(f"{path / name}: is damaged or was changed after it was written; {ANEW}")


def _trajectories(path: Path, identity: Identity, env: CellEnv) -> list[Trajectory]:
    files = sorted(name for name in identity.files if name.startswith("data/"))
    state = WHOLE_STATE if WHOLE_STATE in column_names(path / files[0]) else STATE
    names = (state, GOAL, ACHIEVED, ACTION, LABEL)
    parts = [read_table(path / name, names) for name in files]
    columns = {name: np.concatenate([array_of(part, name) for part in parts]) for name in names}
    episodes = read_table(path / EPISODES)
    rows = episodes.select([name for name in episodes.column_names if not name.startswith("stats/")]).to_pylist()
    if len(rows) != identity.episodes:
        raise ValueError(f"{len(rows)} episodes, not {identity.episodes}")
    found = [_trajectory(row, columns, state) for row in rows]
    size = env.action_space.shape
    for t in found:
        if not all(np.isfinite(v).all() for v in (t.observation, t.desired_goal, t.action, t.label)):
            raise ValueError(f"seed {t.seed}: numbers that are not finite")
        if t.action.shape[1:] != size or t.observation.shape[1] != env.spec_.size("observation"):
            raise ValueError(f"seed {t.seed}: columns of another length")
    return found


def _trajectory(row: dict[str, Any], columns: dict[str, Any], state: str) -> Trajectory:
    cut = slice(row["dataset_from_index"], row["dataset_to_index"])

    def with_last(name: str, key: str) -> Any:
        return np.concatenate([columns[name][cut], np.array([row[f"genba/last/{key}"]], np.float32)])

    return Trajectory(
        seed=row["genba/seed"],
        observation=with_last(state, "state"),
        achieved_goal=with_last(ACHIEVED, "achieved"),
        desired_goal=with_last(GOAL, "goal"),
        action=columns[ACTION][cut],
        label=columns[LABEL][cut],
        success=row["genba/success"],
    )
