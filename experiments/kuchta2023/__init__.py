"""Kuchta 2023, chapter 6: step sizes and loss surfaces of small networks."""
