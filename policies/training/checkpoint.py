"""Checkpoints of a training run: tensors and plain values in one file, replaced in one step, read without pickle."""

import os
from collections.abc import Callable
from contextlib import suppress
from io import BufferedWriter
from pathlib import Path
from typing import Any

import torch as th

from ...robots.errors import RefusedError

VERSION = 3


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint; the one before stays whole until the new one is.

    Args:
        path: The file.
        content: Tensors, numbers, strings, lists and dicts only.

    Raises:
        RefusedError: If the disk refuses; the earlier checkpoint is untouched.
    """
    write_whole(path, lambda file: th.save({"version": VERSION, **content}, file))


def write_whole(path: Path, write: Callable[[BufferedWriter], object]) -> None:
    """Write a file of a training run in one step: after a crash, Ctrl-C or a full disk there is the one before it.

    Args:
        path: The file.
        write: Writes its content into an open file.

    Raises:
        RefusedError: If the disk refuses.
    """
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if not isinstance(error, OSError | RuntimeError):
            raise
        there = path.with_name("checkpoint.pt").exists()
        cure = "the checkpoint before it is whole: free some space and add --resume" if there else "name another folder"
        reason = error if isinstance(error, OSError) else "the disk took only a part of it"  # as torch's words mean
        raise RefusedError(f"{path}: cannot be written ({reason}); {cure}") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; nothing in it is executed.

    Raises:
        RefusedError: If there is none or it is damaged.
    """
    if not path.exists():
        raise RefusedError(f"{path.parent}: holds no checkpoint to resume from; train without --resume first")
    try:
        content: dict[str, Any] = th.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise RefusedError(f"{path}: is damaged or no checkpoint of genba; train anew in another folder") from error
    if content.get("version") != VERSION:
        raise RefusedError(f"{path}: has version {content.get('version')!r}, this genba reads {VERSION}; train anew")
    return content
