"""Training methods: losses, penalties, estimators, schedules, and one file for each algorithm."""
