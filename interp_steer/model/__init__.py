"""Models behind one small protocol. The only package that imports TransformerLens."""
