"""The method of Magnitude-Aware CLIP (arXiv 2511.09948) in NumPy, a module per step.

geometry and pixels, views, similarity, magnitude, fusion; `head` puts the last three together.
"""
