//! The service `catalog`: products, stock and reservations.

mod access;
mod condition;
mod input;
mod listing;
mod page;
mod reservation;
mod stock;
