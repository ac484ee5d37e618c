//! The service `orders`: what was bought, over HTTP (`/orders/…`), on top of the contracts `shop:auth/tokens`
//! and `shop:catalog`.
//!
//! The rules are in the crate `orders-domain`. Here is how the world reaches them ([`http`]) and what they
//! reach of the world ([`adapter`]). All but `guest` and what stands behind the component's imports compiles
//! natively and is tested there, the SQL against a real SQLite.

pub mod adapter;
#[cfg(target_family = "wasm")]
mod guest;
pub mod http;
