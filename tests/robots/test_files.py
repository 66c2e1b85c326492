"""A file is written whole or not at all, and whatever is no file stays as it is."""

import errno
import os
from pathlib import Path

import pytest

from genba.robots.errors import DiskError, RefusedError
from genba.robots.files import check_target, whole


def test_a_file_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    for content in ("one", "two"):
        with whole(path, folders=True) as draft:
            draft.write_text(content)
            assert not path.exists() or path.read_text() != content
        assert path.read_text() == content
    assert [found.name for found in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("when", ["written", "synced"])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("before")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if when == "synced":
        monkeypatch.setattr(os, "fsync", full)

    def write() -> None:
        with whole(path) as draft:
            draft.write_text("after")
            if when == "written":
                full()

    with pytest.raises(DiskError, match="No space left on device") as said:
        write()
    assert "\n" not in str(said.value)
    assert str(path) in str(said.value)
    assert path.read_text() == "before"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_another_error_stays_what_it_is_and_leaves_nothing(tmp_path: Path) -> None:
    def write() -> None:
        with whole(tmp_path / "file") as draft:
            draft.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_target_and_a_missing_one_takes_no_file(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="is a folder"):
        check_target(tmp_path)
    with pytest.raises(RefusedError, match="cannot be written"):
        check_target(tmp_path / "none" / "file")
    check_target(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are POSIX")
def test_a_device_or_a_pipe_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(RefusedError, match="device or a pipe"):
        check_target(pipe)
    with pytest.raises(RefusedError, match="device or a pipe"), whole(pipe):
        pass
    assert pipe.is_fifo()
