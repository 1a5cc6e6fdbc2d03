"""Evaluate models and samples, compare methods, and write reports."""
