"""How mail leaves: rendering, links, channels, and the last gate before a hand-over."""
