"""What we claim, measured: one module each, human lines first, one JSON line last."""
