"""Quality that is known beforehand: distortions, calibration pictures, and how scores rank them."""
