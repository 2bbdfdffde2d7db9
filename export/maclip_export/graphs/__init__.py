"""ONNX graphs: the encoder's traced, everything around it written out, and both joined.

    views    frame uint8 [H, W, 3] (, views int64 [N])  ->  pixels float32 [V or N, 3, S, S]
    encoder  pixels                                      ->  features float32 [V or N, D]
    head     features float32 [V, D]                     ->  score, similarity, magnitude float32 []

Views and encoder are the frame graph, all three the score graph. Views and head carry no weights worth
mentioning and are float32 in every precision. They are written out, not traced, so that their operators
are the same with every torch.

A module here for each of the runtime's `method/`: a cue is written by the one that has its name.
"""
