"""Cameras on the bench: the newest picture of each, cut and shrunk to what a policy was trained on.

    device -> thread that only reads -> newest frame -> middle of the policy's aspect -> area average -> RGB

A thread per camera empties its queue, so a tick never waits for a device and never sees a picture that has waited.
A camera that has given nothing for a while is an error, on which the arm is held.
"""

import time
from collections.abc import Callable, Mapping
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from ..robots.errors import BusError, RefusedError

Picture = npt.NDArray[np.uint8]

STALE_AFTER = 0.3  # s without a new frame after which a camera counts as dead
FIRST_WITHIN = 5.0  # s for a device to begin
JOIN = 2.0  # s for a thread to come back from its device


class Capture(Protocol):
    """What is read from, as OpenCV has it."""

    def read(self) -> tuple[bool, Any]:
        """Wait for a frame: whether there is one, and (height, width, 3) BGR."""

    def release(self) -> None:
        """Let go of the device."""


def open_capture(source: str) -> Capture:
    """Open a device.

    Args:
        source: Number of the device, its path, or the address of a stream.

    Raises:
        RefusedError: If it cannot be opened.
    """
    import cv2

    capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
    if not capture.isOpened():
        raise RefusedError(
            f"camera {source!r} cannot be opened; see which there are and whether another program has it"
        )
    return capture


class Camera:
    """One device and the thread that reads it."""

    def __init__(self, name: str, source: str, size: tuple[int, int], opened: Callable[[str], Capture]) -> None:
        """Open the device and begin to read.

        Args:
            name: For error texts.
            source: See `open_capture`.
            size: Height and width wanted, pixels.
            opened: Opens a device.
        """
        self.name, self.source = name, source
        self._size = size
        self._capture = opened(source)
        self._lock, self._over, self._news = Lock(), Event(), Event()
        self._frame: Any = None
        self._stamp = 0.0
        self._gone = False
        self._thread = Thread(target=self._read, name=f"camera {name}", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._over.is_set():
            there, frame = self._capture.read()
            with self._lock:
                self._gone = not there
                if there:
                    self._frame, self._stamp = frame, time.monotonic()
            self._news.set()
            if not there:
                return

    def wait(self) -> None:
        """Wait for the first frame.

        Raises:
            BusError: If none comes.
        """
        self._news.wait(FIRST_WITHIN)
        if self._frame is None:
            raise BusError(f"camera {self.name} ({self.source}) gives no picture; see its cable")

    def picture(self, now: float) -> Picture:
        """The newest picture.

        Args:
            now: Monotonic time, s.

        Raises:
            BusError: If it is too old or the device is gone.
        """
        with self._lock:
            frame, age, gone = self._frame, now - self._stamp, self._gone
        if gone or frame is None:
            raise BusError(f"camera {self.name} ({self.source}) is gone; see its cable")
        if age > STALE_AFTER:
            raise BusError(f"camera {self.name} ({self.source}) has given no picture for {age:.1f} s; see its cable")
        return fitted(frame, self._size)

    def close(self) -> None:
        """Stop reading and let go of the device."""
        self._over.set()
        self._thread.join(JOIN)
        self._capture.release()


class Cameras:
    """All cameras that a policy looks through."""

    def __init__(
        self,
        sources: Mapping[str, str],
        sizes: Mapping[str, tuple[int, int]],
        *,
        opened: Callable[[str], Capture] = open_capture,
    ) -> None:
        """Open them and wait until each gives pictures.

        Args:
            sources: Device of each camera, by its name.
            sizes: Height and width of each picture that is needed, by the camera's name.
            opened: Opens a device.

        Raises:
            RefusedError: If a camera is missing, unknown or cannot be opened.
            BusError: If one gives no picture.
        """
        for name in (*sizes, *sources):
            if name not in sizes:
                raise RefusedError(
                    f"no camera {name!r} is needed; this policy looks through: {', '.join(sizes) or 'none'}"
                )
            if name not in sources:
                raise RefusedError(
                    f"camera {name!r} is missing, which this policy looks through: --camera {name}=DEVICE"
                )
        self._cameras: list[Camera] = []
        try:
            for name, size in sizes.items():
                self._cameras.append(Camera(name, sources[name], size, opened))
            for camera in self._cameras:
                camera.wait()
        except BaseException:
            self.close()
            raise

    def look(self) -> dict[str, Picture]:
        """The newest picture of each, `<name>_rgb`, (height, width, 3) uint8.

        Raises:
            BusError: If one has stopped.
        """
        now = time.monotonic()
        return {f"{camera.name}_rgb": camera.picture(now) for camera in self._cameras}

    def close(self) -> None:
        """Let go of all devices."""
        for camera in self._cameras:
            camera.close()

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def fitted(frame: npt.NDArray[Any], size: tuple[int, int]) -> Picture:
    """The middle of a BGR frame in another aspect and size, as RGB.

    Args:
        frame: (height, width, 3), uint8.
        size: Height and width wanted, pixels.

    Raises:
        BusError: If it is no such frame.
    """
    import cv2

    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise BusError(
            f"a camera gives frames of shape {frame.shape} and type {frame.dtype}, expected colour of 8 bits"
        )
    height, width = frame.shape[:2]
    tall, wide = size
    used = min(width, round(height * wide / tall)), min(height, round(width * tall / wide))
    left, top = (width - used[0]) // 2, (height - used[1]) // 2
    middle = frame[top : top + used[1], left : left + used[0]]
    shrunk = cv2.resize(middle, (wide, tall), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(shrunk[:, :, ::-1])
