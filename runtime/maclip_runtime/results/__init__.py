"""Results: what a score is, and how it is written, a writer per format."""
