"""genba (現場, the shop floor): train a policy in a simulated work cell, run the same file on a real arm."""

__version__ = "0.1.0"
