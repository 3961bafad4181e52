"""Write contrastive pairs: Claude does, or the model that is to be steered; what is kept has passed every check."""
