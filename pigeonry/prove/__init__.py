"""Kills, freezes and cheats a real campaign, and counts at the far end what arrived."""
