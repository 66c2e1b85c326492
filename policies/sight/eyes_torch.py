"""The eyes while they learn: what `eyes.py` computes, in torch, and the arrays that it computes with."""

from collections.abc import Mapping

import numpy as np
import torch as th
from numpy.typing import NDArray

from ...robots.observation import ObservationSpec
from ..eyes import Eyes
from ..eyes_numpy import places

Array = NDArray[np.float32]

SHARP = 4.0  # factor on the first weights of the last convolution


class LearningEyes(th.nn.Module):
    """Eyes whose parameters are named as in a bundle."""

    places: th.Tensor
    mean: th.Tensor
    std: th.Tensor
    middle: th.Tensor
    scale: th.Tensor

    def __init__(self, eyes: Eyes, spec: ObservationSpec) -> None:
        """Lay out parameters, drawn from torch's generator.

        Args:
            eyes: What they are.
            spec: What is measured.
        """
        super().__init__()
        self.eyes = eyes
        self._abouts = eyes.abouts(spec)
        for view in eyes.views:
            one = th.nn.Module()
            channels = 3
            for k, c in enumerate(eyes.convolutions):
                conv = th.nn.Conv2d(channels, c.channels, c.kernel, c.stride)
                # The library's own start is so faint that every softmax would begin as the middle of the picture.
                th.nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                conv.bias.data.zero_()  # type: ignore[union-attr]
                one.add_module(f"conv{k}", conv)
                channels = c.channels
            with th.no_grad():
                conv.weight *= SHARP
            look = th.nn.Linear(len(eyes.mean), 3 * channels)
            th.nn.init.zeros_(look.weight)
            th.nn.init.zeros_(look.bias)
            one.add_module("look", look)
            self.add_module(view.name, one.to(memory_format=th.channels_last))  # type: ignore[call-overload]
        shapes = eyes.shapes()
        for k in range(len(eyes.hidden) + 1):
            wide, narrow = shapes[f"head{k}.weight"][1], shapes[f"head{k}.weight"][0]
            self.add_module(f"head{k}", th.nn.Linear(wide, narrow))
        self.past = th.nn.Linear(shapes["past.weight"][1], eyes.outputs, bias=False)
        th.nn.init.zeros_(self.past.weight)
        for name, value in (
            ("places", places(*eyes.maps())),
            ("mean", np.array(eyes.mean, np.float32)),
            ("std", np.array(eyes.std, np.float32)),
            ("middle", np.concatenate([e.mean for e in eyes.estimates]).astype(np.float32)),
            ("scale", np.concatenate([e.std for e in eyes.estimates]).astype(np.float32)),
        ):
            self.register_buffer(name, th.as_tensor(value), persistent=False)

    def forward(self, pictures: Mapping[str, th.Tensor], x: th.Tensor) -> th.Tensor:
        """Estimate.

        Args:
            pictures: By camera's name, (batch, height, width, 3), uint8.
            x: Measured observation and goal, (batch, inputs).

        Returns:
            The estimated fields side by side, (batch, outputs).
        """
        state = (x - self.mean) / self.std
        parts = [self._see(view.name, pictures[view.name], state) for view in self.eyes.views]
        seen = th.cat([*parts, state], dim=1)
        out = seen
        for k in range(len(self.eyes.hidden) + 1):
            out = self.get_submodule(f"head{k}")(out)
            if k < len(self.eyes.hidden):
                out = th.relu(out)
        estimated: th.Tensor = (out + self.past(seen)) * self.scale + self.middle
        columns = list(estimated.unbind(dim=1))
        for mine, other in self._abouts:
            a, b = columns[mine], x[:, other].unbind(dim=1)
            if len(b) == 2:
                columns[mine] = [a[0] * b[1] + a[1] * b[0], a[1] * b[1] - a[0] * b[0]]
            else:
                columns[mine] = [one + more for one, more in zip(a, b, strict=True)]
        return th.stack(columns, dim=1)

    def _see(self, name: str, picture: th.Tensor, state: th.Tensor) -> th.Tensor:
        one = self.get_submodule(name)
        # Pixel by pixel, as pictures come and as the convolutions are fastest.
        out = picture.permute(0, 3, 1, 2).to(state.dtype).mul_(1.0 / 255.0).sub_(0.5)
        last = len(self.eyes.convolutions) - 1
        for k in range(last + 1):
            out = one.get_submodule(f"conv{k}")(out)
            if k < last:
                out = th.relu(out)
        maps = out.flatten(2)
        look = one.get_submodule("look")(state).view(len(state), maps.shape[1], 3)
        where = th.softmax(maps + look @ self.places, dim=2)
        where_uv = where @ self.places[:2].T
        return th.cat([where_uv[:, :, 0], where_uv[:, :, 1], (where * maps).sum(dim=2)], dim=1)

    def arrays(self) -> dict[str, Array]:
        """Weights under a bundle's names, as copies."""
        return {name: np.array(tensor.detach().numpy(), order="C") for name, tensor in self.state_dict().items()}
