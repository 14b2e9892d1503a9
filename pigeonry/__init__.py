"""Pigeonry: marketing automation that can prove what it sent, why, and what it gained."""

__version__ = "0.1.0"
