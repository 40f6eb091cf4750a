//! Nothing: the examples are in `examples/`.
