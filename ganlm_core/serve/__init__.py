"""The live page and its API: one process on this machine that shows runs and samples from bundles."""
