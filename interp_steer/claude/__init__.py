"""Claude as an instrument: questions in, one reply each, with what it cost. The only importer of ``anthropic``."""
