"""How a policy learns: recipes, algorithms, and runs that can be killed and resumed."""
