"""What decides: experts, training, the bundle, running a bundle on an arm, evaluation."""
