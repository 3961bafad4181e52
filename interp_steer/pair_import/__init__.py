"""Make a behavior of contrastive pairs that others keep in files of their own form."""
