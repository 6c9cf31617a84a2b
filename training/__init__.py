"""Everything that learns or runs: returns, losses, actors, learner, evaluation, checkpoints, command line."""
