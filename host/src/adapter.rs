//! What implements the ports of [`crate::capability`], and those of [`crate::telemetry::trace`] and
//! [`crate::service::journal`], with the world outside: databases, networks, files.

pub mod blocking;
pub mod content;
pub mod download;
pub mod files;
pub mod http_client;
pub mod journal;
pub mod otlp;
pub mod sqlite;
pub mod variables;
