"""Benchmarks: how fast a bundle is (`speed`), and how well its scores agree with people (`accuracy`).

Commands run from the root of a checkout, such as `python -m benchmarks.speed.compare --help`.
"""
