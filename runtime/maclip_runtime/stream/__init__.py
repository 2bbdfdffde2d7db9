"""Streams: scores over time, with the views of a frame refreshed in turns."""
