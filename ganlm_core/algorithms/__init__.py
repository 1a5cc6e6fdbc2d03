"""Training methods: losses, penalties, estimators, the schedule, and one file per algorithm."""
