"""Quality gates: the threshold between pictures that should pass and pictures that should not."""
