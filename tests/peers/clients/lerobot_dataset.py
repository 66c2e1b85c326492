"""LeRobot's own `LeRobotDataset` on a folder; prints what it finds there as JSON."""

import json
import sys
from pathlib import Path

import torch


def import_torchvision() -> None:
    """Where torch is built for processors alone and torchvision is not, its compiled part does not load.

    LeRobot needs only its Python part, which asks that two operators be known.
    """
    try:
        import torchvision
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision  # noqa: F401


def main(root: Path) -> None:
    """Open it, look at it from all sides."""
    import_torchvision()
    from lerobot.datasets.compute_stats import aggregate_stats
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from lerobot.datasets.utils import dataset_to_policy_features

    data = LeRobotDataset("genba/demonstrations", root=root)
    steps = {"action": [0.0, 1.0 / data.fps, 2.0 / data.fps]}
    ahead = LeRobotDataset("genba/demonstrations", root=root, delta_timestamps=steps)
    second = LeRobotDataset("genba/demonstrations", root=root, episodes=[1])
    batch = next(iter(torch.utils.data.DataLoader(data, batch_size=4)))
    policy = dataset_to_policy_features(data.features)
    first, last = data[0], data[len(data) - 1]
    sys.stdout.write(
        json.dumps(
            {
                "length": len(data),
                "fps": data.fps,
                "robot": data.meta.robot_type,
                "task": first["task"],
                "features": {key: [value["dtype"], *value["shape"]] for key, value in data.features.items()},
                "policy": {key: value.type.name for key, value in policy.items()},
                "bounds": [[e["dataset_from_index"], e["dataset_to_index"]] for e in data.meta.episodes],
                "seeds": [e["genba/seed"] for e in data.meta.episodes],
                "first": _plain(first),
                "last": _plain(last),
                "cameras": {key: first[key].tolist() for key in data.meta.camera_keys},
                "ahead": ahead[len(ahead) - 1]["action"].tolist(),
                "padded": ahead[len(ahead) - 1]["action_is_pad"].tolist(),
                "second": [len(second), _plain(second[0])],
                "batch": {key: list(value.shape) for key, value in batch.items() if isinstance(value, torch.Tensor)},
                "mean": {key: value["mean"].tolist() for key, value in data.meta.stats.items()},
                "again": {key: value["mean"].tolist() for key, value in aggregate_stats([data.meta.stats] * 2).items()},
            }
        )
    )


def _plain(frame: dict[str, object]) -> dict[str, object]:
    """A frame without its pictures."""
    return {
        key: value.tolist() if isinstance(value, torch.Tensor) else value
        for key, value in frame.items()
        if not (isinstance(value, torch.Tensor) and value.ndim == 3)
    }


main(Path(sys.argv[1]))
