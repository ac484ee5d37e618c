//! What the catalog reaches of the world: SQLite, the clock, randomness and, in the component, Spin's
//! interfaces for them.
//!
//! [`store`] is the store that the domain asks for, in SQL over [`sql`], which is small enough to be Spin's
//! SQLite in the component and a native one in tests: the statements that are tested are those that run.

#[cfg(test)]
pub(crate) mod native;
pub mod schema;
#[cfg(target_family = "wasm")]
pub(crate) mod spin;
pub mod sql;
pub mod store;
pub mod world;
