"""What: briefs, prompts, the cascade of writers, and the checks that every text has to pass."""
