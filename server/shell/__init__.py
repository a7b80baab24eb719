"""What is around the pages: the session that shows them, their tabs, the runs they are of, the theme."""
