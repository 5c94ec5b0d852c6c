"""How fast cgbench is: against a plain reference, against the machine, and what a whole run spends beside its steps."""
