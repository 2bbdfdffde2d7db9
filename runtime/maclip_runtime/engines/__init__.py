"""Engines: frame in, features out. `select` decides which one runs; each has a module of its own.

An engine's library is imported when the engine is opened, never before.
"""
