"""What cards are made of, on whatever page: cards and their questions, figures, tables, legends, windows."""
