"""Probe heads: does what the model reads or writes show a behavior? Fitted, calibrated, read per token, and gating."""
