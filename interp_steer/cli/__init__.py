"""The command line: one command a file, each a thin face of one library function.

Heavy libraries are imported inside the commands, so that ``--help`` answers at once.
"""
