//! The one place where the domain's errors become problems.
//!
//! Those that a program may want to tell apart have a `type` of their own: a reference into the OpenAPI
//! document, where their members are described.

use catalog_domain::Error;
use catalog_domain::port::StoreError;
use catalog_domain::violation::{Invalid, Violation};
use rest::Problem;
use serde_json::{Value, json};

/// `type` of a 409: another product has the SKU.
pub(super) const SKU_TAKEN: &str = "/catalog/openapi.json#/components/schemas/SkuTaken";
/// `type` of a 409: reservations hold more than would be left.
pub(super) const STOCK_HELD: &str = "/catalog/openapi.json#/components/schemas/StockHeld";
/// `type` of a 409: less in stock than asked for.
pub(super) const INSUFFICIENT_STOCK: &str = "/catalog/openapi.json#/components/schemas/InsufficientStock";
/// `type` of a 409: a reservation's state, or its lines, are in the way.
pub(super) const RESERVATION_CONFLICT: &str = "/catalog/openapi.json#/components/schemas/ReservationConflict";

/// What the client is told of an error. What only the operator should know is logged.
pub(super) fn problem(error: Error) -> Problem {
    match error {
        Error::Invalid(invalid) => unprocessable(&invalid),
        Error::NoProduct(_) => Problem::not_found("no product has this id"),
        Error::NoReservation => Problem::not_found("no reservation has this id; they are kept for 30 days"),
        Error::SkuTaken => Problem::conflict("another product has this sku")
            .typed(SKU_TAKEN, "SKU taken")
            .with("pointer", "/sku"),
        Error::Changed { version } => Problem::precondition_failed(
            "the product was changed meanwhile: get it again, and apply the change to what it is now",
        )
        .with("version", version),
        Error::Held { held, on_hand } => Problem::conflict(format!(
            "reservations hold {held} pieces, and {on_hand} would be left"
        ))
        .typed(STOCK_HELD, "Stock held")
        .with("held", held),
        Error::Short(shortage) => {
            Problem::conflict(format!("{}; nothing was reserved", Error::Short(shortage)))
                .typed(INSUFFICIENT_STOCK, "Insufficient stock")
                .with("product_id", shortage.product.to_string())
                .with("requested", shortage.requested)
                .with("available", shortage.available)
        }
        Error::Conflict(state) => Problem::conflict(format!(
            "this id belongs to a reservation that is {}",
            state.as_str()
        ))
        .typed(RESERVATION_CONFLICT, "Reservation conflict")
        .with("state", state.as_str()),
        // No operation of this interface takes several ids.
        Error::TooMany(_) => Problem::internal(),
        Error::Store(error) => unanswered(&error),
    }
}

fn unanswered(error: &StoreError) -> Problem {
    eprintln!("catalog: {error}");
    match error {
        StoreError::Busy => Problem::unavailable("too many others are writing; nothing was done", 1),
        StoreError::Full => Problem::unavailable(
            "there is no room left to write; nothing was done, the operator has to act",
            60,
        ),
        StoreError::Refused(_) | StoreError::Unreadable(_) | StoreError::Failed(_) => Problem::internal(),
    }
}

/// 422, with the places in the body.
pub(super) fn unprocessable(invalid: &Invalid) -> Problem {
    Problem::unprocessable(invalid.to_string()).with("errors", places(invalid, "pointer"))
}

/// 400, with the names of the query's parameters.
pub(super) fn bad_query(invalid: &Invalid) -> Problem {
    Problem::bad_request(invalid.to_string()).with("errors", places(invalid, "parameter"))
}

fn places(invalid: &Invalid, member: &str) -> Value {
    let place = |at: &Violation| json!({ "detail": at.detail, member: at.pointer });
    invalid.violations().iter().map(place).collect()
}
