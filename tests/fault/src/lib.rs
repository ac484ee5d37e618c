//! `fault-storm`: services that misbehave in every way, beside one that does not notice.
//!
//! For each [`fault`] a host is started with two services: a hostile one and a neighbour. The [`neighbour`] is asked on a
//! schedule that no answer can delay, first while nothing else happens, then while [`client`]s ask the hostile service for what
//! it does worst. When that is over and the host is idle, its memory and descriptors are read again. What clients saw, the
//! [`log`] says and the [`metrics`] count makes a [`row`], with all that is not as it should be.
//!
//! The program runs every fault for as long as it is told; the integration tests run each once and briefly.

pub mod app;
pub mod build;
pub mod client;
pub mod fault;
pub mod log;
pub mod made;
pub mod metrics;
pub mod neighbour;
pub mod process;
pub mod row;
pub mod run;
pub mod upstream;
pub mod witness;
