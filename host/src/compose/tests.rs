//! Compositions of small components, run in Wasmtime with hosts that know what reached them.

mod denial;
mod fusion;
mod parts;
mod support;
