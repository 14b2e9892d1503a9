"""Orchestration only: each task is one service call, and nothing but ids travels between them."""
