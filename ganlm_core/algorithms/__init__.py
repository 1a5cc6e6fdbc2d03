"""Training methods: one file each, pure functions from a batch to a loss, and the list of phases that uses them."""
