//! Compositions of small components, run in Wasmtime with hosts that know what reached them.

mod answers;
mod denial;
mod fusion;
mod parts;
mod support;
