"""NVIDIA Triton: a bundle as a model repository, and a server of it on this machine."""
