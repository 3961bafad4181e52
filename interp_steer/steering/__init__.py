"""Writing to the residual stream: interventions, the hooks that carry them, and decoding under them."""
