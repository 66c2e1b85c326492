"""The arm in simulation: cell, simulated arm, parts, tasks and the Gymnasium face.

Importing this room registers every task as `genba/<Task>-v0`. Use the module form, which also works in spawned
workers: `gymnasium.make("genba.envs:genba/PickPlace-v0", robot="so101")`.
"""

import gymnasium

from .tasks import task_names

for _name in task_names():
    if f"genba/{_name}-v0" not in gymnasium.registry:
        gymnasium.register(id=f"genba/{_name}-v0", entry_point="genba.envs.env:CellEnv", kwargs={"task": _name})
