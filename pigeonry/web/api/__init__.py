"""`/api/v1`: the same use cases for programs. A token in the Authorization header, JSON, problem+json."""
