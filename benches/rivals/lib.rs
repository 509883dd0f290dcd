//! Nothing: this package exists for its benchmark.
