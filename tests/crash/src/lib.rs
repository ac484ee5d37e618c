//! `crash-storm`: a host is killed with `SIGKILL` at random moments under write load, and a judge says whether anything that
//! was acknowledged is lost.
//!
//! [`write`](mod@write) sends writes and [`deploy`] sends deploys; both tell a [`record`] of their own what they are about to
//! send, and what was acknowledged once the whole response was read. After each kill [`database`] opens copies of the files with
//! a SQLite of its own, and after the restart [`read`] asks the guests. [`judge`] holds what they saw against the record, and
//! shares no code with those who wrote it but that record. [`storm`] is the order of all this, [`table`] shows what came of it.
//!
//! A killed process leaves its pages to the kernel, so what is shown is that the host acknowledges nothing too early and needs
//! no help to start again; it says nothing about a machine that loses power.
//!
//! The program runs the long form; the integration tests run the short form.

pub mod app;
pub mod client;
pub mod database;
pub mod deploy;
pub mod judge;
pub mod random;
pub mod read;
pub mod record;
pub mod storm;
pub mod table;
pub mod write;
