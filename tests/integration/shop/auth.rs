//! The service `auth`: accounts, sessions, tokens and keys.

mod account;
mod admin;
mod canary;
mod forged;
mod key;
mod session;
mod throttle;
