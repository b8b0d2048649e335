"""A discrete-event simulator: the production rules over several regions, a network that fails, and peers."""
