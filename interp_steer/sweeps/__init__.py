"""Layers x alphas x prompts, decoded in batches and written line by line."""
