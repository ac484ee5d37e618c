//! The other services, over their contracts. Exists in the component only.
//!
//! What a service answers is checked as anything else from outside is. Why one could not answer is logged
//! here, once, for the operator; clients are told no more than that it is so.

use std::time::Duration;

use orders_domain::item::{Currency, Line, Money, Offer, ProductId};
use orders_domain::order::{Customer, OrderId};
use orders_domain::port::{
    Accounts, AccountsError, Caller, Catalogue, CatalogueError, Held, Stock, StockError,
};

mod bindings {
    #![allow(
        missing_docs,
        unsafe_code,
        unused_qualifications,
        unreachable_pub,
        clippy::all,
        reason = "generated from WIT"
    )]

    spin_sdk::wit_bindgen::generate!({
        path: ["../../wit/shop-auth", "../../wit/shop-catalog"],
        inline: "
            package shop:orders-consumer;

            world consumer {
                import shop:auth/tokens@1.0.0;
                import shop:catalog/products@1.1.0;
                import shop:catalog/inventory@1.1.0;
            }
        ",
        world: "shop:orders-consumer/consumer",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        generate_all,
    });
}

use bindings::shop::auth::tokens;
use bindings::shop::catalog::{inventory, products};

/// The role that sees and cancels everybody's orders.
const ADMIN: &str = "admin";

/// The services `auth` and `catalog`, wherever the host links them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Links;

impl Accounts for Links {
    async fn verify(&self, token: &str) -> Result<Caller, AccountsError> {
        match tokens::verify(token.to_owned()).await {
            Ok(claims) => Ok(Caller {
                admin: claims.roles.iter().any(|role| role == ADMIN),
                customer: Customer(claims.subject),
            }),
            Err(tokens::Error::Invalid(reason)) => Err(AccountsError::Invalid(reason)),
            Err(tokens::Error::Expired) => Err(AccountsError::Expired),
            Err(tokens::Error::Unavailable(reason)) => {
                eprintln!("orders: shop:auth/tokens verify: unavailable: {reason}");
                Err(AccountsError::Unavailable(reason))
            }
        }
    }
}

impl Catalogue for Links {
    async fn offers(&self, ids: &[ProductId]) -> Result<Vec<Offer>, CatalogueError> {
        let unavailable = |reason: String| {
            eprintln!("orders: shop:catalog/products get-many: {reason}");
            CatalogueError::Unavailable(reason)
        };
        match products::get_many(ids.iter().map(ProductId::to_string).collect()).await {
            Ok(found) => found
                .into_iter()
                .map(offer)
                .collect::<Option<_>>()
                .ok_or_else(|| unavailable("the answer names no product, or no currency".to_owned())),
            Err(products::Error::NotFound(id)) => Err(match ProductId::parse(&id) {
                Some(id) => CatalogueError::Unknown(id),
                None => unavailable(format!("there is no product {id:?}, which was not asked for")),
            }),
            Err(products::Error::TooMany(count)) => Err(unavailable(format!(
                "{} products are too many: {count}",
                ids.len()
            ))),
            Err(products::Error::Unavailable(reason)) => Err(unavailable(format!("unavailable: {reason}"))),
        }
    }
}

fn offer(product: products::Product) -> Option<Offer> {
    Some(Offer {
        product: ProductId::parse(&product.id)?,
        name: product.name,
        price: Money {
            amount: product.price.amount,
            currency: Currency::parse(&product.price.currency)?,
        },
    })
}

impl Stock for Links {
    async fn reserve(&self, id: OrderId, lines: &[Line], time: Duration) -> Result<(), StockError> {
        let lines = lines.iter().map(|line| inventory::Line {
            product_id: line.product.to_string(),
            quantity: line.quantity,
        });
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        match inventory::reserve(id.to_string(), lines.collect(), seconds).await {
            Ok(_) => Ok(()),
            Err(inventory::Error::NotFound(product)) => Err(match ProductId::parse(&product) {
                Some(product) => StockError::NoProduct(product),
                None => broken("reserve", id, format!("there is no product {product:?}")),
            }),
            Err(error) => Err(failure("reserve", id, error)),
        }
    }

    async fn commit(&self, id: OrderId) -> Result<(), StockError> {
        match inventory::commit(id.to_string()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(failure("commit", id, error)),
        }
    }

    async fn release(&self, id: OrderId) -> Result<(), StockError> {
        match inventory::release(id.to_string()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(failure("release", id, error)),
        }
    }

    async fn cancel(&self, id: OrderId) -> Result<(), StockError> {
        match inventory::cancel(id.to_string()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(failure("cancel", id, error)),
        }
    }
}

fn failure(what: &str, id: OrderId, error: inventory::Error) -> StockError {
    match error {
        inventory::Error::NotFound(_) => StockError::NoReservation,
        inventory::Error::Insufficient(shortage) => match ProductId::parse(&shortage.product_id) {
            Some(product) => StockError::Short {
                product,
                requested: shortage.requested,
                available: shortage.available,
            },
            None => broken(what, id, format!("short of {:?}", shortage.product_id)),
        },
        inventory::Error::Conflict(state) => StockError::Conflict(match state {
            inventory::State::Held => Held::Held,
            inventory::State::Committed => Held::Committed,
            inventory::State::Released => Held::Released,
            inventory::State::Expired => Held::Expired,
        }),
        inventory::Error::Invalid(reason) => broken(what, id, reason),
        inventory::Error::Unavailable(reason) => {
            eprintln!("orders: shop:catalog/inventory {what} of {id}: unavailable: {reason}");
            StockError::Unavailable(reason)
        }
    }
}

fn broken(what: &str, id: OrderId, reason: String) -> StockError {
    eprintln!("orders: shop:catalog/inventory {what} of {id}: {reason}");
    StockError::Broken(reason)
}
