//! The component's entries for other services: `shop:catalog/products@1.1.0` and
//! `shop:catalog/inventory@1.1.0`.
//!
//! The same use cases as over HTTP, without its tokens: who may call is the host's decision.

use catalog_domain::port::StoreError;
use catalog_domain::reservation::{self, Lines, ReservationId, parse_ttl};
use catalog_domain::{Error, product, violation};

use crate::guest::service;

mod bindings {
    #![allow(
        missing_docs,
        unsafe_code,
        unused_qualifications,
        clippy::all,
        reason = "generated from WIT"
    )]

    spin_sdk::wit_bindgen::generate!({
        inline: "
            package shop:catalog-provider;

            world provider {
                export shop:catalog/products@1.1.0;
                export shop:catalog/inventory@1.1.0;
            }
        ",
        path: "../../wit/shop-catalog",
        world: "shop:catalog-provider/provider",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        generate_all,
    });

    pub(super) struct Provider;

    export!(Provider);
}

use bindings::Provider;
use bindings::exports::shop::catalog::{inventory, products};

impl products::Guest for Provider {
    async fn get(id: String) -> Result<products::Product, products::Error> {
        service()
            .catalog()
            .product(&id)
            .await
            .map(shown)
            .map_err(products_error)
    }

    async fn get_many(ids: Vec<String>) -> Result<Vec<products::Product>, products::Error> {
        let found = service().catalog().products(&ids).await.map_err(products_error)?;
        Ok(found.into_iter().map(shown).collect())
    }
}

fn shown(product: product::Product) -> products::Product {
    let price = product.details.price;
    products::Product {
        id: product.id.to_string(),
        name: product.details.name.as_str().to_owned(),
        price: products::Money {
            amount: price.amount(),
            currency: price.currency().as_str().to_owned(),
        },
        available: product.stock.available(),
    }
}

fn products_error(error: Error) -> products::Error {
    match error {
        Error::NoProduct(id) => products::Error::NotFound(id),
        Error::TooMany(count) => products::Error::TooMany(u32::try_from(count).unwrap_or(u32::MAX)),
        Error::Store(error) => products::Error::Unavailable(unavailable(&error)),
        // Reading has no other errors.
        error @ (Error::Invalid(_)
        | Error::NoReservation
        | Error::SkuTaken
        | Error::Changed { .. }
        | Error::Held { .. }
        | Error::Short(_)
        | Error::Conflict(_)) => products::Error::Unavailable(error.to_string()),
    }
}

impl inventory::Guest for Provider {
    async fn reserve(
        reservation_id: String,
        lines: Vec<inventory::Line>,
        ttl_seconds: u32,
    ) -> Result<inventory::Reservation, inventory::Error> {
        let id = parse_id(&reservation_id)?;
        let lines = lines
            .iter()
            .map(|line| (line.product_id.as_str(), i64::from(line.quantity)));
        let lines = Lines::parse(lines).map_err(invalid)?;
        let ttl = parse_ttl(ttl_seconds.into()).map_err(invalid)?;
        let reserved = service().catalog().reserve(id, lines, ttl).await;
        reserved
            .map(|reserved| answered(reserved.into_reservation()))
            .map_err(|error| refused(error, &reservation_id))
    }

    async fn commit(reservation_id: String) -> Result<inventory::Reservation, inventory::Error> {
        let id = parse_id(&reservation_id)?;
        let committed = service().catalog().commit(&id).await;
        committed
            .map(answered)
            .map_err(|error| refused(error, &reservation_id))
    }

    async fn release(reservation_id: String) -> Result<inventory::Reservation, inventory::Error> {
        let id = parse_id(&reservation_id)?;
        let released = service().catalog().release(&id).await;
        released
            .map(answered)
            .map_err(|error| refused(error, &reservation_id))
    }

    async fn cancel(reservation_id: String) -> Result<inventory::Reservation, inventory::Error> {
        let id = parse_id(&reservation_id)?;
        let cancelled = service().catalog().cancel(&id).await;
        cancelled
            .map(answered)
            .map_err(|error| refused(error, &reservation_id))
    }

    async fn get(reservation_id: String) -> Result<inventory::Reservation, inventory::Error> {
        let id = parse_id(&reservation_id)?;
        let found = service().catalog().reservation(&id).await;
        found
            .map(answered)
            .map_err(|error| refused(error, &reservation_id))
    }
}

fn parse_id(id: &str) -> Result<ReservationId, inventory::Error> {
    ReservationId::parse(id).map_err(|detail| inventory::Error::Invalid(format!("reservation-id {detail}")))
}

fn invalid(invalid: violation::Invalid) -> inventory::Error {
    inventory::Error::Invalid(invalid.to_string())
}

fn answered(reservation: reservation::Reservation) -> inventory::Reservation {
    let line = |line: &reservation::Line| inventory::Line {
        product_id: line.product.to_string(),
        quantity: line.quantity,
    };
    inventory::Reservation {
        id: reservation.id.to_string(),
        lines: reservation.lines.iter().map(line).collect(),
        state: state(reservation.state),
        expires_at: reservation.expires_at.seconds(),
    }
}

fn state(state: reservation::State) -> inventory::State {
    match state {
        reservation::State::Held => inventory::State::Held,
        reservation::State::Committed => inventory::State::Committed,
        reservation::State::Released => inventory::State::Released,
        reservation::State::Expired => inventory::State::Expired,
    }
}

fn refused(error: Error, reservation_id: &str) -> inventory::Error {
    match error {
        Error::Invalid(violations) => invalid(violations),
        Error::NoProduct(id) => inventory::Error::NotFound(id),
        Error::NoReservation => inventory::Error::NotFound(reservation_id.to_owned()),
        Error::Short(shortage) => inventory::Error::Insufficient(inventory::Shortage {
            product_id: shortage.product.to_string(),
            requested: shortage.requested,
            available: shortage.available,
        }),
        Error::Conflict(conflict) => inventory::Error::Conflict(state(conflict)),
        Error::Store(error) => inventory::Error::Unavailable(unavailable(&error)),
        // Reservations have no other errors.
        error @ (Error::SkuTaken | Error::Changed { .. } | Error::Held { .. } | Error::TooMany(_)) => {
            inventory::Error::Unavailable(error.to_string())
        }
    }
}

/// What a caller is told of the store; the rest is for the operator.
fn unavailable(error: &StoreError) -> String {
    eprintln!("catalog: {error}");
    let told = match error {
        StoreError::Busy => "the store is busy",
        StoreError::Full => "the store is full",
        StoreError::Refused(_) | StoreError::Unreadable(_) | StoreError::Failed(_) => "the store failed",
    };
    told.to_owned()
}
