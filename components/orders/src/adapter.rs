//! What the orders reach of the world: the other services, SQLite, the clock, randomness and the variables.
//!
//! [`store`] is the repository that the domain asks for, in SQL over [`sql`], which is small enough to be
//! Spin's SQLite in the component and a native one in tests: the statements that are tested are those that
//! run.

#[cfg(target_family = "wasm")]
pub(crate) mod links;
#[cfg(test)]
pub(crate) mod native;
pub mod schema;
#[cfg(target_family = "wasm")]
pub(crate) mod spin;
pub mod sql;
pub mod store;
pub mod variables;
pub mod world;
