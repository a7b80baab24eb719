"""The loop: one iteration after the other as a compiled program, and what it gathers of each."""
