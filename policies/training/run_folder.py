"""The folder of a training run: whose it is, its one checkpoint, and what is left when it is done.

checkpoint.pt   everything the run needs to go on; replaced in one step
recipe.json     what was asked for, for people
tensorboard/    curves
model.zip, run.json   at the end, for `genba pack`
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import Logger, configure

from ...robots.errors import RefusedError
from .checkpoint import load_checkpoint, save_checkpoint, write_whole

log = logging.getLogger(__name__)

Watch = Callable[[Sequence[Mapping[str, float]]], None]


class RunFolder:
    """One folder, opened by the run that it belongs to.

    Attributes:
        path: The folder.
        saved: Content of the checkpoint to go on from; None for a run that begins.
        history: Points of the curves so far, each with its `step`.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], *, resume: bool, watch: Watch | None = None) -> None:
        """Make the folder, or read the checkpoint in it.

        Args:
            path: The folder.
            identity: What makes this run this run: task, arm, seed, recipe.
            resume: Go on from the checkpoint.
            watch: Called with the history after each new point; what it raises ends the run.

        Raises:
            RefusedError: If it holds another run, or nothing to resume, or takes no files.
        """
        self.path = path
        self._watch = watch
        self.saved: dict[str, Any] | None = None
        self.history: list[dict[str, float]] = []
        self._identity = dict(identity)
        self._checkpoint = path / "checkpoint.pt"
        if resume:
            self.saved = load_checkpoint(self._checkpoint)
            _compare(self.saved.get("identity", {}), self._identity, path)
        elif self._checkpoint.exists():
            raise RefusedError(f"{path}: already holds a training run; add --resume or name another folder")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RefusedError(f"{path}: cannot be made ({error.strerror}); name another folder") from error
        if self.saved is None:
            # From here on there is something to resume, and a folder that takes no files is refused at once.
            save_checkpoint(self._checkpoint, {"identity": self._identity, "begun": False})
            text = json.dumps(self._identity, indent=1).encode()
            write_whole(path / "recipe.json", lambda file: file.write(text))
        elif not self.saved.get("begun", True):
            self.saved = None
        if self.saved is not None:
            self.history = self.saved["history"]

    def save(self, content: Mapping[str, Any]) -> None:
        """Replace the checkpoint.

        Args:
            content: Tensors and plain values only.

        Raises:
            RefusedError: If the disk refuses; the checkpoint before is whole.
        """
        save_checkpoint(
            self._checkpoint, {"identity": self._identity, "begun": True, "history": self.history, **content}
        )

    @cached_property
    def logger(self) -> Logger:
        """The curves on disk.

        Raises:
            RefusedError: If they cannot be written.
        """
        place = self.path / "tensorboard"
        try:
            return configure(str(place), ["tensorboard"])
        except OSError as error:
            raise RefusedError(f"{place}: cannot be written ({error.strerror}); name another folder") from error

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Add a point to every curve: for TensorBoard now, for the report with the next checkpoint.

        What a full disk does to curves must not end a training.
        """
        self.history.append({"step": step, **{key: float(value) for key, value in values.items()}})
        try:
            for key, value in values.items():
                self.logger.record(key, value)
            self.logger.dump(step)
        except OSError as error:
            log.warning("TensorBoard curves of this round are lost: %s", error)
        if self._watch is not None:
            self._watch(self.history)


def _compare(there: Mapping[str, Any], here: Mapping[str, Any], path: Path) -> None:
    """Refuse to resume a run that is not this one; the first thing that differs is named."""
    for key, wanted, found in _differences(here, there, ""):
        raise RefusedError(
            f"{path}: holds a run with {key} {found!r}, not {wanted!r}; "
            "resume it with its own arguments or name another folder"
        )


def _differences(here: Mapping[str, Any], there: Mapping[str, Any], prefix: str) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for key, value in here.items():
        other = there.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            found += _differences(value, other, f"{prefix}{key}.")
        elif value != other:
            found.append((f"{prefix}{key}", value, other))
    return found


def show_clip(folder: Path, title: str, gif: bytes, shape: Sequence[int]) -> None:
    """Put a moving picture among TensorBoard's images.

    Args:
        folder: Of the run.
        title: What it shows.
        gif: The animation; nothing is done without one.
        shape: Height and width of its frames.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
    from torch.utils.tensorboard import SummaryWriter

    if not gif:
        return
    try:
        writer = SummaryWriter(str(folder / "tensorboard"))
        image = Summary.Image(height=shape[0], width=shape[1], colorspace=3, encoded_image_string=gif)
        file: Any = writer._get_file_writer()  # type: ignore[no-untyped-call]
        file.add_summary(Summary(value=[Summary.Value(tag=title, image=image)]), 0)
        writer.close()
    except OSError as error:
        log.warning("the clip for TensorBoard is lost: %s", error)
