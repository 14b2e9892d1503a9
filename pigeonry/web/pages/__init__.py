"""The rooms of the console, one module each: a page parses, calls one service, renders."""
