//! The shop's data: where it lies, that it lasts, and whose it is.

mod backup;
mod crash;
mod shared;
