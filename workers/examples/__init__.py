"""What the bridges are for, in small programs that run: `python -m workers.examples` runs them all."""
