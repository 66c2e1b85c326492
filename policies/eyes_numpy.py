"""Eyes of a policy in numpy, see `eyes.py`: what a bundle runs."""

from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from ..robots.errors import RefusedError, SafetyError
from ..robots.observation import ObservationSpec
from .eyes import Array, Eyes, Pictures


class Sight:
    """The computation; not thread-safe where the library's products are not."""

    def __init__(self, eyes: Eyes, spec: ObservationSpec, weights: Mapping[str, Array]) -> None:
        """Lay out the weights.

        Args:
            eyes: What they are.
            spec: What is measured.
            weights: Arrays of `Eyes.shapes`.
        """
        self._eyes = eyes
        self._convolutions = {
            view.name: [
                (
                    # A row of a window is kernel x channels numbers side by side.
                    np.ascontiguousarray(weights[f"{view.name}.conv{k}.weight"].transpose(2, 3, 1, 0)).reshape(
                        -1, c.channels
                    ),
                    weights[f"{view.name}.conv{k}.bias"],
                    c,
                )
                for k, c in enumerate(eyes.convolutions)
            ]
            for view in eyes.views
        }
        self._look = {
            view.name: (weights[f"{view.name}.look.weight"].T.astype(np.float64), weights[f"{view.name}.look.bias"])
            for view in eyes.views
        }
        self._places = places(*eyes.maps()).astype(np.float64)
        self._head = [
            (weights[f"head{k}.weight"].T.astype(np.float64), weights[f"head{k}.bias"].astype(np.float64))
            for k in range(len(eyes.hidden) + 1)
        ]
        self._past = weights["past.weight"].T.astype(np.float64)
        self._mean, self._std = np.array(eyes.mean), np.array(eyes.std)
        self._scale = np.concatenate([e.std for e in eyes.estimates])
        self._middle = np.concatenate([e.mean for e in eyes.estimates])
        self._abouts = eyes.abouts(spec)

    def __call__(self, pictures: Pictures, x: Array) -> NDArray[np.float64]:
        """Estimate.

        Args:
            pictures: By camera, `<name>_rgb` of shape (batch, height, width, 3), uint8.
            x: Measured observation and goal, (batch, inputs).

        Returns:
            The estimated fields side by side, (batch, outputs).

        Raises:
            RefusedError: If a picture is missing or of another shape than in training.
            SafetyError: If what is measured is not finite.
        """
        eyes = self._eyes
        if not np.isfinite(x).all():
            raise SafetyError("policy: the observation is not finite; the arm is held")
        state = (x - self._mean) / self._std
        parts = []
        for view in eyes.views:
            picture = pictures.get(f"{view.name}_rgb")
            shape = (len(x), eyes.height, eyes.width, 3)
            if picture is None or picture.shape != shape or picture.dtype != np.uint8:
                found = None if picture is None else (picture.shape, str(picture.dtype))
                raise RefusedError(f"observation: {view.name}_rgb is {found}, this policy needs {shape} of uint8")
            parts.append(self._see(view.name, picture, state))
        seen = np.concatenate([*parts, state], axis=1)
        out = seen
        for k, (weight, bias) in enumerate(self._head):
            out = out @ weight + bias
            if k < len(self._head) - 1:
                np.maximum(out, 0.0, out=out)
        out = (out + seen @ self._past) * self._scale + self._middle
        for mine, other in self._abouts:
            a, b = out[:, mine], x[:, other].astype(np.float64)
            if b.shape[1] == 2:
                out[:, mine] = np.stack(
                    [a[:, 0] * b[:, 1] + a[:, 1] * b[:, 0], a[:, 1] * b[:, 1] - a[:, 0] * b[:, 0]], axis=1
                )
            else:
                out[:, mine] = a + b
        return np.asarray(out, np.float64)

    def _see(self, name: str, picture: NDArray[np.uint8], state: NDArray[np.float64]) -> NDArray[np.float64]:
        """u, v and amount of every channel, (batch, 3 channels)."""
        out = picture.astype(np.float32)
        out *= np.float32(1.0 / 255.0)
        out -= np.float32(0.5)
        last = len(self._convolutions[name]) - 1
        for k, (weight, bias, c) in enumerate(self._convolutions[name]):
            windows = _windows(out, c.kernel, c.stride)
            # A product for each row of each picture: large ones would be spread over threads that spin and wait.
            out = windows.reshape(*windows.shape[:3], len(weight)) @ weight
            out += bias
            if k < last:
                np.maximum(out, 0.0, out=out)
        batch, channels = len(picture), out.shape[3]
        maps = out.reshape(batch, -1, channels).transpose(0, 2, 1).astype(np.float64)
        slope, middle = self._look[name]
        where = maps + (state @ slope + middle).reshape(batch, channels, 3) @ self._places
        where -= where.max(axis=2, keepdims=True)
        np.exp(where, out=where)
        where /= where.sum(axis=2, keepdims=True)
        places_ = where @ self._places[:2].T
        amount = (where * maps).sum(axis=2)
        return np.concatenate([places_[:, :, 0], places_[:, :, 1], amount], axis=1)


def places(height: int, width: int) -> Array:
    """u, v and minus their squares of every cell of a map, (3, cells); u and v from -1 to 1."""
    v, u = np.meshgrid(_line(height), _line(width), indexing="ij")
    return np.stack([u.ravel(), v.ravel(), -(u * u + v * v).ravel()]).astype(np.float32)


def _line(count: int) -> NDArray[np.float64]:
    return (2.0 * np.arange(count) + 1.0) / count - 1.0


def _windows(maps: Array, kernel: int, stride: int) -> Array:
    """Every window of a convolution, (batch, rows, columns, kernel, kernel x channels), as a view."""
    batch, height, width, channels = maps.shape
    maps = np.ascontiguousarray(maps)
    b, h, w, c = maps.strides
    rows, columns = (height - kernel) // stride + 1, (width - kernel) // stride + 1
    return as_strided(
        maps, (batch, rows, columns, kernel, kernel * channels), (b, h * stride, w * stride, h, c), writeable=False
    )
