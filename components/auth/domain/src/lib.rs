//! Accounts, passwords, sessions and tokens: what the service `auth` knows, without I/O.
//!
//! [`Auth`] is the whole of it: one method per operation, over three ports that the service fills in: [`Store`],
//! [`Clock`] and [`Random`]. HTTP, SQL and JSON documents are the service's business; the text of a token is ours,
//! because what it says and how it is checked belong together.
//!
//! Reading order: [`service`] (the operations), then what they are made of.

pub mod service;

pub mod account;
pub mod bootstrap;
pub mod client;
pub mod email;
pub mod jwt;
pub mod key;
pub mod password;
pub mod policy;
pub mod port;
pub mod session;
pub mod throttle;
pub mod time;

pub use account::{Account, Role};
pub use bootstrap::Admin;
pub use client::Client;
pub use email::Email;
pub use jwt::Claims;
pub use password::{Hasher, Password};
pub use policy::Policy;
pub use port::{Clock, Random, Store};
pub use service::{Auth, Grant};
pub use time::Timestamp;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
