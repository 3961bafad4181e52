"""``python -m interp_steer``: the command line without its script."""

from interp_steer.cli.app import main

if __name__ == "__main__":
    main()
