"""A local page to turn the knobs by hand: steered beside unsteered, as the words come."""
