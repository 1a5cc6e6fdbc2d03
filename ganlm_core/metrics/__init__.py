"""Metrics, and the judge that measures every subject with them under one protocol."""
