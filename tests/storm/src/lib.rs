//! `swap-storm`: constant load over every protocol, while services are swapped many times a second, and a judge of what came
//! of it.
//!
//! The guests answer with their revision ([`stamp`] makes many revisions of one build). [`load`] sends requests on a schedule
//! that no answer can delay, [`swap`] deploys good and bad components and applies manifests, and both only write down what
//! they did, in a [`journal`] of [`record`]s. Afterwards [`check`] judges the journal alone: it shares no code with those who
//! wrote it but the records. [`figures`] makes the table.
//!
//! The program runs the long form against a host that it starts itself; the integration tests run the short form.

pub mod admin;
pub mod app;
pub mod build;
pub mod check;
pub mod clock;
pub mod deck;
pub mod figures;
pub mod host;
pub mod journal;
pub mod load;
pub mod plan;
pub mod record;
pub mod stamp;
pub mod storm;
pub mod swap;
mod table;
