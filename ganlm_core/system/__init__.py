"""The machine: files, caches, safetensors, devices, processes, signals and threads."""
