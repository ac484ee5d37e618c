//! The shop: the application of the repository's own manifest, with its real components, over HTTP.
//!
//! Every answer that a test gets through [`client::Shop`] is held against the service's OpenAPI document: an answer
//! that is not described there fails the test that met it. [`openapi`] sees to it that nothing described there stays
//! untried.

mod application;
mod auth;
mod catalog;
mod client;
mod contract;
mod data;
mod openapi;
mod orders;
mod rollout;
pub mod schema;
mod sqlite;
mod token;

use application::{ADMIN_EMAIL, ADMIN_PASSWORD, shop, variable};
use client::{Call, Shop, delete, get, post, put};
