"""The bundle, the folder that is shared: save, load, verify, describe, sample and send it."""
