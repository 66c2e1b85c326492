"""The episodes of a dataset that is not whole yet: one pair of files per job, kept until the set is written.

OUT.partial/identity.json
OUT.partial/pieces/00000.parquet   frames of the first eight episodes
OUT.partial/pieces/00000.json      what is to be said of each; a piece counts when this is there
OUT.partial/set/                   the dataset, renamed to OUT when it is whole
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...robots.errors import RefusedError
from ...robots.strict import load_json
from .columns import Column
from .identity import Identity
from .parquet import read_table, table_of, write_table
from .record import Episode


class Pieces:
    """What a run of `genba demos` has written so far."""

    def __init__(self, out: Path, identity: Identity, columns: Sequence[Column]) -> None:
        """Find what an earlier run with the same arguments has left, or begin.

        Args:
            out: Where the dataset will be.
            identity: What it is made of.
            columns: Its columns.

        Raises:
            RefusedError: If something else is there, or the disk takes no files.
        """
        self.out, self.columns = out, columns
        place = out.resolve()
        if place.exists() and not (place.is_dir() and not any(place.iterdir())):
            raise RefusedError(f"{out}: already holds something; name another folder")
        self.folder = place.with_name(f"{place.name}.partial")
        self.whole = self.folder / "set"
        self._places = self.folder / "pieces"
        described = self.folder / "identity.json"
        text = json.dumps(identity.to_json(), indent=1, sort_keys=True)
        if described.exists():
            if load_json(described, "the beginning of a dataset") != json.loads(text):
                raise RefusedError(
                    f"{self.folder}: holds the beginning of another set; remove it or name another folder than {out}"
                )
        elif self.folder.exists() and {p.name for p in self.folder.iterdir()} - {"pieces", "identity.partial"}:
            raise RefusedError(f"{self.folder}: is in the way; remove it or name another folder than {out}")
        with self.writing():
            self._places.mkdir(parents=True, exist_ok=True)
            replace(described, text.encode())

    def has(self, index: int) -> bool:
        """Whether a job is done."""
        return self._described(index).exists()

    def episodes(self, index: int) -> list[dict[str, Any]]:
        """What is to be said of each episode of a job that is done.

        Raises:
            RefusedError: If the piece is damaged.
        """
        path = self._described(index)
        try:
            found: list[dict[str, Any]] = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise RefusedError(f"{path}: is damaged ({error}); remove {self.folder} and begin anew") from error
        return found

    def frames(self, index: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Frames of a job that is done, or some columns of them."""
        return read_table(self._frames(index), columns)

    def add(self, index: int, first: int, episodes: Sequence[Episode], rate_hz: int) -> None:
        """Keep the episodes of a job.

        Args:
            index: Of the job.
            first: Number of its first episode.
            episodes: What came of it.
            rate_hz: Frames per second.

        Raises:
            RefusedError: If the disk refuses; earlier pieces are kept.
        """
        columns = [c for c in self.columns if c.name != "index"]
        tables = []
        for number, episode in enumerate(episodes, first):
            frames = range(len(episode))
            common: dict[str, list[Any]] = {
                "timestamp": [k / rate_hz for k in frames],
                "frame_index": list(frames),
                "episode_index": [number] * len(episode),
                "task_index": [0] * len(episode),
            }
            tables.append(table_of(columns, {**episode.rows, **common}))
        said = [
            {
                "length": len(e),
                "genba/seed": e.seed,
                "genba/noise": e.noise,
                "genba/success": e.success,
                "genba/randomization": e.randomization,
                **{f"genba/last/{name}": values for name, values in e.last.items()},
                "shades": {name: counts.tolist() for name, counts in e.shades.items()},
            }
            for e in episodes
        ]
        with self.writing():
            write_table(self._frames(index), pa.concat_tables(tables))
            replace(self._described(index), json.dumps(said).encode())

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write something that may be begun again.

        Raises:
            RefusedError: If the disk refuses.
        """
        try:
            yield
        except OSError as error:
            raise RefusedError(
                f"{self.folder}: cannot be written ({error.strerror or error}); "
                "what is there is kept: free some space and give the same command again, or name another folder"
            ) from error

    def finish(self) -> None:
        """Make the whole set what it is called, and drop the pieces."""
        with self.writing():
            _sync(self.whole)
            self.whole.replace(self.out.resolve())
        with suppress(OSError):
            shutil.rmtree(self.folder)

    def _frames(self, index: int) -> Path:
        return self._places / f"{index:05d}.parquet"

    def _described(self, index: int) -> Path:
        return self._places / f"{index:05d}.json"


def replace(path: Path, content: bytes) -> None:
    """Write a file in one step."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def _sync(folder: Path) -> None:
    """Have everything on the disk before it gets its name: a power cut must not leave a set with empty files."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
