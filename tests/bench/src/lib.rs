//! What the benchmarks run, so that the tests can run the same.

pub mod link;
