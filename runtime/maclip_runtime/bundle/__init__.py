"""Bundles: the manifest and its strict reader, opening, and writing whole or not at all."""
