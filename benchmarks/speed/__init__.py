"""How fast a bundle is: on the CPU, on a GPU, and from start to score."""
