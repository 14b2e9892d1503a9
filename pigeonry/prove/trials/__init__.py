"""One trial of each guarantee."""
