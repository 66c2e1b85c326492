"""How a policy learns to see."""
