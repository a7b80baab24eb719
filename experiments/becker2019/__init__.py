"""Becker, Lippel, Zielke 2019, "Gradient Descent Analysis": its claims, measured. See README.md."""
