//! A host for microservices that are WebAssembly components.
//!
//! # The life of a request
//!
//! A client's connection is accepted in [`gateway`]. Each of its requests takes the current generation from the
//! [`service`] registry, once, and finds its route there. The revision behind the route gives it a lease, within the
//! service's limits, and the revision's program ([`engine`]) a warm or a fresh instance. The guest runs in the
//! connection's own task; what it imports beyond WASI is a [`capability`], granted by the manifest and implemented over a
//! port by an [`adapter`], or the contract of another service, which a [`link`] leads to within the same generation: the callee
//! runs in an instance of its own, in the caller's task and time. The response streams out while the guest runs, and the lease
//! ends with the last byte. What goes wrong becomes a problem response in one place and a log line in another
//! ([`telemetry`]).
//!
//! # The modules, in reading order
//!
//! [`model`] (values) and [`manifest`] (what an app is); [`host`] (how everything is put together); [`gateway`] and
//! [`service`] (the way of a request); [`engine`] with [`bindings`] (running guests); [`link`] and [`compose`] (services with
//! services, apart or in one); [`capability`] and [`adapter`] (the world outside); [`admin`], [`telemetry`] and [`shutdown`]
//! (what operators see); [`cli`]; [`testing`] (for tests of single services, and for nothing else).
//!
//! `ARCHITECTURE.md` beside this crate has the rules that hold between them, and why.

pub mod adapter;
pub mod admin;
pub mod bindings;
pub mod capability;
pub mod cli;
pub mod compose;
pub mod engine;
pub mod gateway;
pub mod host;
pub mod link;
pub mod manifest;
pub mod model;
pub mod service;
pub mod shutdown;
pub mod telemetry;
pub mod testing;
