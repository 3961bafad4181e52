"""Scores of a run's generations: how much each shows the behavior, and whether it still makes sense."""
