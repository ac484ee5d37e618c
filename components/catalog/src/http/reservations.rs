//! `/catalog/reservations`.

use bytes::Bytes;
use catalog_domain::port::{Clock, Ids, Store};
use catalog_domain::reservation::{Lines, Reservation, ReservationId, parse_ttl};
use catalog_domain::violation::Invalid;
use catalog_domain::{Error, Reserved};
use http::{Request, StatusCode};
use http_body::Body;
use rest::response::ResponseExt;
use rest::{Match, Problem, Response, json, read_json};

use crate::access::keys::Fetch;

use super::document::{LineIn, NewReservation, ReservationOut};
use super::refusal::{problem, unprocessable};
use super::{BODY_MAX, Edge};

impl<S: Store, C: Clock, I: Ids, F: Fetch> Edge<S, C, I, F> {
    pub(super) async fn reserve<B: Body<Data = Bytes>>(
        &self,
        request: Request<B>,
    ) -> Result<Response, Problem> {
        let new: NewReservation = read_json(request, BODY_MAX).await?;
        let refuse = |invalid: Invalid| unprocessable(&invalid);
        let id = ReservationId::parse(&new.id).map_err(|detail| refuse(Invalid::one("/id", detail)))?;
        let lines = new
            .lines
            .iter()
            .map(|line| (line.product_id.as_str(), line.quantity));
        let lines = Lines::parse(lines).map_err(refuse)?;
        let ttl = parse_ttl(new.ttl_seconds).map_err(refuse)?;
        match self.catalog.reserve(id, lines, ttl).await {
            Ok(Reserved::New(reservation)) => {
                let location = format!("/catalog/reservations/{}", reservation.id);
                Ok(shown(StatusCode::CREATED, &reservation).with_location(&location))
            }
            Ok(Reserved::Again(reservation)) => Ok(shown(StatusCode::OK, &reservation)),
            Err(Error::NoProduct(id)) => Err(unknown_product(&new.lines, &id)),
            Err(error) => Err(problem(error)),
        }
    }

    pub(super) async fn get_reservation(&self, found: &Match) -> Result<Response, Problem> {
        let reservation = self.catalog.reservation(&id(found)?).await.map_err(problem)?;
        Ok(shown(StatusCode::OK, &reservation))
    }

    pub(super) async fn commit_reservation(&self, found: &Match) -> Result<Response, Problem> {
        let reservation = self.catalog.commit(&id(found)?).await.map_err(problem)?;
        Ok(shown(StatusCode::OK, &reservation))
    }

    pub(super) async fn release_reservation(&self, found: &Match) -> Result<Response, Problem> {
        let reservation = self.catalog.release(&id(found)?).await.map_err(problem)?;
        Ok(shown(StatusCode::OK, &reservation))
    }
}

/// The id in the path; what is none names nothing.
fn id(found: &Match) -> Result<ReservationId, Problem> {
    ReservationId::parse(found.param("id")).map_err(|_| problem(Error::NoReservation))
}

/// The resource that the request is about is there: it is a line that is wrong.
fn unknown_product(lines: &[LineIn], id: &str) -> Problem {
    let line = lines
        .iter()
        .position(|line| line.product_id.eq_ignore_ascii_case(id))
        .unwrap_or_default();
    Problem::invalid_value(&format!("/lines/{line}/product_id"), "no product has this id")
}

fn shown(status: StatusCode, reservation: &Reservation) -> Response {
    json(status, &ReservationOut::from(reservation)).with_cache_control("no-store")
}
