"""The built-in rewards, and the measurement of rewards in evaluations."""
