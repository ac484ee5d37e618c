//! What implements the ports of [`crate::capability`] and the one of [`crate::telemetry::trace`] with the world outside:
//! databases, networks, files.

pub mod blocking;
pub mod download;
pub mod files;
pub mod http_client;
pub mod otlp;
pub mod sqlite;
pub mod variables;
