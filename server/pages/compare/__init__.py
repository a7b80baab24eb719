"""The page of several descents side by side."""
