"""Data files: mail layouts, the copy library, prompts, report pages. This file only marks the package."""
