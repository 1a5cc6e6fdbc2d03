"""Sweeps: many runs from one plan, on this machine or on a cluster."""
