"""Views that several pages show, one per file: `build(context) -> View`; `curve/`: the enhanced curve."""
