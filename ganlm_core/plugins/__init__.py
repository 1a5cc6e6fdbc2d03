"""The plugin host: find plugins, load each in isolation, know every component by name."""
