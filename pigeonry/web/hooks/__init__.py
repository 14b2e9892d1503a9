"""Where programs report: each verifies its sender over the raw bytes and stores them before anything else."""
