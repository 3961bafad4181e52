"""How the rows of a sweep become completions."""
