"""Pages and pictures for whoever got a mail: one module a door."""
