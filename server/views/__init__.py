"""One view per file: `build(context) -> View` draws once, `update()` follows the record."""
