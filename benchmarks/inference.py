"""Time of one decision by numpy, from the observation dict to a checked action: p50 and p99 in microseconds.

The nets have two hidden layers and the input of PickPlace on the SO-101, relative features and angles included. Beside
each stands the difference to the same net in torch. Before them, what counts: the shipped policies themselves, from
`PolicyBundle.act`.
"""

import json
import os
import time
from itertools import pairwise

import numpy as np
import torch
from _measure import Row, show

from genba.envs.tasks import load_task
from genba.policies.bundle import PolicyBundle
from genba.policies.catalogue import policy_files
from genba.policies.network import Network
from genba.robots.catalogue import load_robot
from genba.robots.features import FeatureMap

CALLS = 20_000


def shipped() -> None:
    """Print the median time of one action for every policy of the zoo."""
    rows = []
    for path in policy_files():
        bundle = PolicyBundle.load(path)
        spec, rng = bundle.manifest.spec, np.random.default_rng(0)
        groups = ("observation", "achieved_goal", "desired_goal")
        seen = {g: rng.uniform(-1, 1, spec.size(g)).astype(np.float32) for g in groups}
        times = []
        for _ in range(CALLS):
            start = time.perf_counter_ns()
            bundle.act(seen)
            times.append((time.perf_counter_ns() - start) * 1e-3)
        rows.append(Row(what=bundle.name, measured=float(np.median(times)), wanted=20.0, unit="us p50"))
    if rows:
        show("PolicyBundle.act of the shipped policies", rows)
    else:
        print("no policy in policies/zoo: nothing to measure")


def main() -> None:
    """Measure the shipped policies, then print one JSON object per width."""
    shipped()
    torch.set_num_threads(1)
    task = load_task("PickPlace")(load_robot("so101"), "servo")
    spec = task.spec()
    features = FeatureMap.from_spec(spec, task.features)
    rng = np.random.default_rng(0)
    observation = {g: rng.uniform(-1, 1, spec.size(g)).astype(np.float32) for g in ("observation", "desired_goal")}
    x = np.concatenate([observation["observation"], observation["desired_goal"]])
    for width in (64, 128, 256):
        sizes = (features.size, width, width, 5)
        layers = [
            ((rng.normal(size=(b, a)) / a**0.5).astype(np.float32), rng.normal(size=b).astype(np.float32) * 0.1)
            for a, b in pairwise(sizes)
        ]
        net = Network(
            features=features,
            observation_size=spec.size("observation"),
            mean=[0.0] * features.size,
            std=[1.0] * features.size,
            layers=layers,
            activation="relu",
            squash="tanh",
        )
        times = []
        for _ in range(CALLS):
            start = time.perf_counter_ns()
            action = net(observation)
            times.append((time.perf_counter_ns() - start) * 1e-3)
        y = torch.from_numpy(features(x))
        for i, (weight, bias) in enumerate(layers):
            y = torch.nn.functional.linear(y, torch.from_numpy(weight), torch.from_numpy(bias))
            y = torch.relu(y) if i < len(layers) - 1 else torch.tanh(y)
        p50, p99 = np.percentile(times, (50, 99))
        row = {
            "net": f"{width}x{width}",
            "inputs": len(x),
            "p50_us": round(float(p50), 1),
            "p99_us": round(float(p99), 1),
            "difference_to_torch": float(np.abs(action - y.numpy()).max()),
            "load": os.getloadavg()[0],
        }
        print(json.dumps(row))


if __name__ == "__main__":
    main()
