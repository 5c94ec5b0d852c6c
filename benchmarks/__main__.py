"""`python -m cgbench.benchmarks`: the command line, where the script is not on the path."""

from cgbench.benchmarks.cli.main import main

main(prog_name="cgbench")
