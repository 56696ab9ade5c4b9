"""The command line: each command parses, calls and prints, and nothing else."""
