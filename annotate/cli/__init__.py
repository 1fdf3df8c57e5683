"""The command line ``annotate``: parses, calls, prints."""
