"""What happened: normalises events, turns them into rewards, and updates beliefs."""
