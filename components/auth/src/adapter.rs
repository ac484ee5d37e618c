//! What fills in the domain's ports: the database, the clock, randomness, and the operator's variables.

pub(crate) mod database;
pub(crate) mod schema;
pub(crate) mod store;
pub(crate) mod system;
pub(crate) mod variables;
