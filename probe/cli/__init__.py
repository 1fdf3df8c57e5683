"""The command line ``probe``: parses, calls, prints."""
