//! Stock that is promised: reserve, commit, release, cancel.

use std::time::Duration;

use crate::port::{Clock, Ids, Store, Unit};
use crate::reservation::{
    Cancel, Conflict, Lines, RETENTION, Reservation, ReservationId, State, Step, Unavailable,
};
use crate::time::Timestamp;

use super::{Catalog, Error, settle};

/// What [`Catalog::reserve`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// A new reservation.
    New(Reservation),
    /// The one that an earlier call made.
    Again(Reservation),
}

impl Reserved {
    /// The reservation.
    pub fn into_reservation(self) -> Reservation {
        match self {
            Self::New(reservation) | Self::Again(reservation) => reservation,
        }
    }
}

impl<S: Store, C: Clock, I: Ids> Catalog<S, C, I> {
    /// Holds all lines, or none, for a time to live. Repeated with the same id and lines while they are held,
    /// it answers what it answered first: the time does not begin anew.
    ///
    /// # Errors
    /// [`Error::NoProduct`] and [`Error::Short`], with the first line that cannot be had; [`Error::Conflict`]
    /// when the id is taken by a reservation of other lines or one that is no longer held; [`Error::Store`].
    pub async fn reserve(&self, id: ReservationId, lines: Lines, ttl: Duration) -> Result<Reserved, Error> {
        let now = self.clock.now();
        let expires_at = now.whole_second_after(ttl);
        let new = Reservation {
            id,
            lines,
            state: State::Held,
            expires_at,
        };
        let mut unit = self.store.begin().await?;
        let outcome = reserve(&mut unit, new, now).await;
        settle(unit, outcome).await
    }

    /// Turns a held reservation into stock that has left.
    ///
    /// # Errors
    /// [`Error::NoReservation`]; [`Error::Conflict`] when it was released or came too late; [`Error::Store`].
    pub async fn commit(&self, id: &ReservationId) -> Result<Reservation, Error> {
        let now = self.clock.now();
        let mut unit = self.store.begin().await?;
        let outcome = commit(&mut unit, id, now).await;
        settle(unit, outcome).await
    }

    /// Gives a reservation back. One that has expired, too, becomes released.
    ///
    /// # Errors
    /// [`Error::NoReservation`]; [`Error::Conflict`] when it was committed; [`Error::Store`].
    pub async fn release(&self, id: &ReservationId) -> Result<Reservation, Error> {
        let now = self.clock.now();
        let mut unit = self.store.begin().await?;
        let outcome = release(&mut unit, id, now).await;
        settle(unit, outcome).await
    }

    /// Takes a reservation back whatever became of it: stock that has left is on hand again.
    ///
    /// # Errors
    /// [`Error::NoReservation`]; [`Error::Store`].
    pub async fn cancel(&self, id: &ReservationId) -> Result<Reservation, Error> {
        let now = self.clock.now();
        let mut unit = self.store.begin().await?;
        let outcome = cancel(&mut unit, id, now).await;
        settle(unit, outcome).await
    }

    /// A reservation as it stands now.
    ///
    /// # Errors
    /// [`Error::NoReservation`]; [`Error::Store`].
    pub async fn reservation(&self, id: &ReservationId) -> Result<Reservation, Error> {
        let now = self.clock.now();
        let found = self.store.reservation(id).await?.ok_or(Error::NoReservation)?;
        Ok(found.at(now))
    }
}

async fn reserve(unit: &mut impl Unit, new: Reservation, now: Timestamp) -> Result<Reserved, Error> {
    if let Some(earlier) = unit.reservation(&new.id).await? {
        let earlier = earlier.at(now);
        earlier.reserve_again(&new.lines).map_err(refuse)?;
        return Ok(Reserved::Again(earlier));
    }
    let products = new.lines.products();
    // Written down before their stock is promised anew: should the clock go back, they stay expired.
    unit.expire(&products, now).await?;
    let found = unit.products(&products, now).await?;
    new.lines.check(&found).map_err(|unavailable| match unavailable {
        Unavailable::Unknown(product) => Error::NoProduct(product.to_string()),
        Unavailable::Short(shortage) => Error::Short(shortage),
    })?;
    unit.hold(&new).await?;
    unit.forget(now.before(RETENTION)).await?;
    Ok(Reserved::New(new))
}

async fn commit(unit: &mut impl Unit, id: &ReservationId, now: Timestamp) -> Result<Reservation, Error> {
    let mut found = unit.reservation(id).await?.ok_or(Error::NoReservation)?.at(now);
    if found.commit().map_err(refuse)? == Step::Go {
        unit.take(&found).await?;
        found.state = State::Committed;
        unit.settle(id, found.state).await?;
    }
    Ok(found)
}

async fn release(unit: &mut impl Unit, id: &ReservationId, now: Timestamp) -> Result<Reservation, Error> {
    let mut found = unit.reservation(id).await?.ok_or(Error::NoReservation)?.at(now);
    if found.release().map_err(refuse)? == Step::Go {
        found.state = State::Released;
        unit.settle(id, found.state).await?;
    }
    Ok(found)
}

async fn cancel(unit: &mut impl Unit, id: &ReservationId, now: Timestamp) -> Result<Reservation, Error> {
    let mut found = unit.reservation(id).await?.ok_or(Error::NoReservation)?.at(now);
    match found.cancel() {
        Cancel::Repeat => return Ok(found),
        Cancel::Release => {}
        Cancel::TakeBack => unit.put_back(&found).await?,
    }
    found.state = State::Released;
    unit.settle(id, found.state).await?;
    Ok(found)
}

fn refuse(Conflict(state): Conflict) -> Error {
    Error::Conflict(state)
}
