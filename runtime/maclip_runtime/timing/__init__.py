"""How long scoring takes on this machine, stage by stage, for `maclip bench` and the benchmarks."""
