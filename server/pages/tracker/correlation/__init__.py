"""The correlation view: which filters changed when which classes did."""
