"""A dataset of the format LeRobot v3, made of pieces that are complete.

meta/info.json  meta/stats.json  meta/tasks.parquet  meta/episodes/chunk-000/file-000.parquet
data/chunk-000/file-000.parquet, and further ones of 100 MB each
"""

import json
import shutil
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .columns import Column, plain
from .identity import Identity, checksum
from .parquet import array_of, open_writer, task_table, write_table
from .pieces import Pieces
from .summary import Summary, summarise, summarise_pictures

CODEBASE = "v3.0"
CHUNK = 1000  # files
FILE_MB = 100
FILE_BYTES = FILE_MB * 2**20
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
INFO = "meta/info.json"


def write_whole(pieces: Pieces, jobs: int, identity: Identity, task: str) -> None:
    """Write the dataset of all pieces and give it its name.

    Args:
        pieces: All of them done.
        jobs: How many there are.
        identity: What they are made of.
        task: The task in words, as LeRobot's policies read it.

    Raises:
        RefusedError: If the disk refuses.
    """
    with pieces.writing():
        _write(pieces, jobs, identity, task)
    pieces.finish()


def _write(pieces: Pieces, jobs: int, identity: Identity, task: str) -> None:
    root = pieces.whole
    if root.exists():
        shutil.rmtree(root)
    said = [row for k in range(jobs) for row in pieces.episodes(k)]
    places = _write_frames(pieces, jobs, root)
    stats, each = _statistics(pieces, jobs, said)
    write_table(root / EPISODES, _episode_table(said, places, each, task))
    write_table(root / "meta/tasks.parquet", task_table(task))
    _write_json(root / "meta/stats.json", stats)
    files = {str(p.relative_to(root).as_posix()): checksum(p) for p in sorted(root.rglob("*")) if p.is_file()}
    info = {
        "codebase_version": CODEBASE,
        "robot_type": identity.robot,
        "total_episodes": len(said),
        "total_frames": sum(row["length"] for row in said),
        "total_tasks": 1,
        "chunks_size": CHUNK,
        "data_files_size_in_mb": FILE_MB,
        "video_files_size_in_mb": 200,
        "fps": identity.control.rate_hz,
        "splits": {"train": f"0:{len(said)}"},
        "data_path": DATA,
        "video_path": None,
        "features": {column.name: column.to_json() for column in pieces.columns},
        "genba": changed(identity, files=files).to_json(),
    }
    _write_json(root / INFO, info)


def _write_frames(pieces: Pieces, jobs: int, root: Path) -> list[int]:
    """Copy all frames, one row group per episode; returns the file that each episode is in."""
    place = [c.name for c in pieces.columns].index("index")
    writer, file, size, frames = None, -1, 0, 0
    places: list[int] = []
    try:
        for k in range(jobs):
            table = pieces.frames(k)
            table = table.add_column(place, "index", pa.array(range(frames, frames + len(table)), pa.int64()))
            at = 0
            for row in pieces.episodes(k):
                part = table.slice(at, row["length"])
                at += row["length"]
                if writer is None or size + part.nbytes > FILE_BYTES:
                    if writer is not None:
                        writer.close()
                    file, size = file + 1, 0
                    path = root / DATA.format(chunk_index=file // CHUNK, file_index=file % CHUNK)
                    writer = open_writer(path, table.schema)
                writer.write_table(part, row_group_size=len(part))
                size += part.nbytes
                places.append(file)
            frames += len(table)
    finally:
        if writer is not None:
            writer.close()
    return places


def _statistics(
    pieces: Pieces, jobs: int, said: list[dict[str, Any]]
) -> tuple[dict[str, Summary], dict[str, list[Summary]]]:
    """Of every column over all frames, and over those of each episode; one column at a time is in memory."""
    ends = np.cumsum([row["length"] for row in said])
    stats: dict[str, Summary] = {}
    each: dict[str, list[Summary]] = {}
    for column in pieces.columns:
        name = column.name
        if column.dtype == "image":
            shades = [np.array(row["shades"][name]) for row in said]
            each[name] = [summarise_pictures(s, row["length"]) for s, row in zip(shades, said, strict=True)]
            stats[name] = summarise_pictures(np.sum(shades, axis=0), int(ends[-1]))
        elif plain(column):
            rows = _column(pieces, jobs, column, int(ends[-1]))
            each[name] = [summarise(part) for part in np.split(rows, ends[:-1])]
            stats[name] = summarise(rows)
    return stats, each


def _column(pieces: Pieces, jobs: int, column: Column, frames: int) -> np.ndarray[Any, np.dtype[Any]]:
    if column.name == "index":
        return np.arange(frames)
    return np.concatenate([array_of(pieces.frames(k, [column.name]), column.name) for k in range(jobs)])


def _episode_table(
    said: list[dict[str, Any]], places: list[int], each: dict[str, list[Summary]], task: str
) -> pa.Table:
    ends = np.cumsum([row["length"] for row in said]).tolist()
    own = [key for key in said[0] if key.startswith("genba/")]
    single = pa.list_(pa.float32())
    columns: dict[str, pa.Array] = {
        "episode_index": pa.array(range(len(said)), pa.int64()),
        "tasks": pa.array([[task]] * len(said), pa.list_(pa.string())),
        "length": pa.array([row["length"] for row in said], pa.int64()),
        "data/chunk_index": pa.array([file // CHUNK for file in places], pa.int64()),
        "data/file_index": pa.array([file % CHUNK for file in places], pa.int64()),
        "dataset_from_index": pa.array([0, *ends[:-1]], pa.int64()),
        "dataset_to_index": pa.array(ends, pa.int64()),
        "meta/episodes/chunk_index": pa.array([0] * len(said), pa.int64()),
        "meta/episodes/file_index": pa.array([0] * len(said), pa.int64()),
    }
    for key in own:
        exact = None if not key.startswith("genba/last/") else pa.list_(pa.float64()) if "stamp" in key else single
        columns[key] = pa.array([row[key] for row in said], exact)
    for name, summaries in each.items():
        for key in summaries[0]:
            columns[f"stats/{name}/{key}"] = pa.array([s[key] for s in summaries])
    return pa.table(columns)


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")
