"""The residual stream of contrastive pairs: how it is read, and the artifact it is kept in."""
