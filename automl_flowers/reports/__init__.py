"""What happened in a run, for people: tables, curves, one self-contained page."""
