"""Whether scores rank pictures sensibly: distortions, ladders of them, and what is measured on these."""
