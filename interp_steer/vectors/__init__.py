"""Difference vectors to one steering vector per layer, and the controls beside them."""
