"""Pixels to bytes that any browser shows: a clip as WebM (VP8), a still as PNG, without a file left behind."""

import logging
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...robots.errors import RefusedError

Pixels = npt.NDArray[np.uint8]

log = logging.getLogger(__name__)

STRIP_FRAMES = 8

_SIGNATURES = (
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


def media_type(data: bytes) -> str:
    """MIME type of encoded media, told from its first bytes.

    Args:
        data: What an encoder returned.

    Raises:
        RefusedError: If it is nothing a browser shows.
    """
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    raise RefusedError(f"media begin with {data[:8]!r}; a report shows WebM, PNG, JPEG, WebP or GIF")


def encode_png(pixels: Pixels) -> bytes:
    """A still as PNG.

    Args:
        pixels: (height, width, 3) RGB.

    Raises:
        RefusedError: If the shape or type is not that.
    """
    _check(pixels)
    height, width, _ = pixels.shape
    rows = np.zeros((height, width * 3 + 1), np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def encode_clip(frames: Sequence[Pixels], fps: float) -> bytes:
    """A clip as WebM; where this machine's OpenCV has no VP8, as animated WebP, and as a strip of stills failing that.

    `media_type` tells which it became, and a warning is logged for everything but WebM.

    Args:
        frames: At least one (height, width, 3) RGB frame; all of one size. Odd sizes lose a row or column.
        fps: Frames per second.

    Raises:
        RefusedError: If there is no frame, or frames differ in size.
    """
    if not frames:
        raise RefusedError("a clip needs at least one frame; record with a camera or a render size")
    for frame in frames:
        _check(frame)
        if frame.shape != frames[0].shape:
            raise RefusedError(f"frames of a clip differ in size: {frames[0].shape} and {frame.shape}")
    if not 0.0 < fps <= 240.0:
        raise RefusedError(f"fps is {fps}; a clip plays at more than 0 and at most 240 frames per second")
    height, width = frames[0].shape[0] // 2 * 2, frames[0].shape[1] // 2 * 2
    even = [np.ascontiguousarray(frame[:height, :width, ::-1]) for frame in frames]  # OpenCV wants BGR
    for kind, encoder in (("WebM (VP8)", _webm), ("animated WebP", _webp)):
        with suppress(Exception):  # any failure inside a codec only means: try the next one
            data = encoder(even, fps)
            if data:
                return data
        log.warning("this machine's OpenCV writes no %s; the clip is stored in a simpler form", kind)
    picks = np.linspace(0, len(frames) - 1, min(STRIP_FRAMES, len(frames))).round().astype(int)
    return encode_png(np.concatenate([frames[i] for i in picks], axis=1))


def encode_gif(frames: Sequence[Pixels], fps: float) -> bytes:
    """A clip as GIF, which TensorBoard shows among its images; empty where this machine's OpenCV writes none.

    Args:
        frames: (height, width, 3) RGB frames of one size.
        fps: Frames per second.
    """
    for frame in frames:
        _check(frame)
    with suppress(Exception):
        return _animation(".gif", [np.ascontiguousarray(frame[:, :, ::-1]) for frame in frames], fps)
    return b""


def _webm(frames: list[Pixels], fps: float) -> bytes:
    import cv2

    height, width, _ = frames[0].shape
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.webm"
        with _no_stderr():  # FFmpeg remarks on the tag VP80 although it writes a correct file
            writer = cv2.VideoWriter(
                str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"VP80"), float(fps), (width, height)
            )
        try:
            if not writer.isOpened():
                return b""
            for frame in frames:
                writer.write(frame)
        finally:
            writer.release()
        data = path.read_bytes()
    return data if data.startswith(b"\x1aE\xdf\xa3") else b""


def _webp(frames: list[Pixels], fps: float) -> bytes:
    return _animation(".webp", frames, fps)


def _animation(kind: str, frames: list[Pixels], fps: float) -> bytes:
    import cv2

    animation = cv2.Animation()
    animation.frames = frames
    animation.durations = [max(1, round(1000.0 / fps))] * len(frames)  # ms
    done, buffer = cv2.imencodeanimation(kind, animation)
    return buffer.tobytes() if done else b""


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Silence what C code prints to standard error; nothing happens where there is none."""
    try:
        saved = os.dup(2)
    except OSError:
        yield
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(sink)
        os.close(saved)


def _check(pixels: Pixels) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or min(pixels.shape) < 2:
        raise RefusedError(f"pixels are {pixels.dtype} of shape {pixels.shape}; expected uint8 (height, width, 3) RGB")
