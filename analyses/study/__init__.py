"""Many behaviors on one model: what holds of the heuristics, of the controls, and of the write-up's claims."""
