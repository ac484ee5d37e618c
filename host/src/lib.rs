//! A host for microservices that are WebAssembly components.

pub mod adapter;
pub mod admin;
pub mod bindings;
pub mod capability;
pub mod cli;
pub mod engine;
pub mod gateway;
pub mod host;
pub mod manifest;
pub mod model;
pub mod service;
pub mod shutdown;
pub mod telemetry;
