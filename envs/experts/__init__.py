"""What scripted experts are made of."""
