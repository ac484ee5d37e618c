//! The service `catalog`: products, prices and stock over HTTP (`/catalog/…`) and over the contracts
//! `shop:catalog/products@1.1.0` and `shop:catalog/inventory@1.1.0`.
//!
//! The rules are in the crate `catalog-domain`. Here is how the world reaches it ([`http`], `contract`), who
//! may write ([`access`]), and what it reaches of the world ([`adapter`]). All but `guest` and `contract`,
//! which exist in the component only, compiles natively and is tested there, the SQL against a real SQLite.

pub mod access;
pub mod adapter;
#[cfg(target_family = "wasm")]
mod contract;
#[cfg(target_family = "wasm")]
mod guest;
pub mod http;
