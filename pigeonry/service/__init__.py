"""Use cases: join the independent parts, open transactions, commit them."""
