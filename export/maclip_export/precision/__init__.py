"""Precisions of the encoder's graphs: half, INT8, and which layers INT8 hurts."""
