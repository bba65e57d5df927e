"""The exercises, one module per lesson: EXERCISES maps "NN.k" to an Exercise."""
