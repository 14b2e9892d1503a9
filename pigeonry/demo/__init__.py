"""The main job on example data: a generator of leads, simulated recipients, and the run itself."""
