//! What every [`Store`] has to do, as tests that an adapter calls with a way to make an empty store.
#![expect(
    clippy::expect_used,
    reason = "a test panics where it fails, wherever it is compiled"
)]

use std::cell::Cell;
use std::time::Duration;

use uuid::Uuid;

use super::ready;
use crate::account::Role;
use crate::key::SigningKey;
use crate::port::{Admission, Creation, Rotation};
use crate::session::{Digest, MAX_SESSIONS, Session};
use crate::throttle::{Allowance, Charge, Subject};
use crate::{Account, Client, Store, Timestamp};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// One requirement.
pub struct Requirement<S> {
    /// What a store does.
    pub name: &'static str,
    /// Panics if this one does not.
    pub check: fn(&S),
}

/// All of them, each to be checked on an empty store.
pub fn requirements<S: Store>() -> Vec<Requirement<S>> {
    macro_rules! list {
        ($($name:ident),* $(,)?) => { vec![$(Requirement { name: stringify!($name), check: $name::<S> }),*] };
    }
    list![
        an_account_is_found_by_address_and_id,
        an_address_is_taken_once,
        a_session_continues_with_its_last_token_only,
        an_expired_session_is_refused_and_gone,
        a_session_of_nobody_is_refused,
        an_ended_session_is_refused,
        the_oldest_sessions_of_an_account_make_room,
        expired_sessions_are_forgotten,
        charges_are_all_or_none,
        refunds_give_attempts_back,
        of_two_successors_of_a_key_one_wins,
        retired_keys_are_forgotten,
        there_is_one_bootstrap,
    ]
}

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn account(number: u128, email: &str) -> Account {
    Account {
        id: Uuid::from_u128(number),
        email: email.parse().expect("a valid address"),
        roles: vec![Role::Admin, Role::Customer],
        password_hash: "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA".to_owned(),
        created_at: NOW,
    }
}

fn digest(number: u8) -> Digest {
    Digest([number; 32])
}

fn session(id: u8, secret: u8, account: u128, used_at: Timestamp) -> Session {
    Session {
        id: digest(id),
        secret: digest(secret),
        account: Uuid::from_u128(account),
        used_at,
        expires_at: used_at.plus(Duration::from_secs(100)),
    }
}

fn rotate(store: &impl Store, id: u8, secret: u8, next: u8, now: Timestamp) -> Rotation {
    let expires_at = now.plus(Duration::from_secs(100));
    ready(store.rotate_session((digest(id), digest(secret)), digest(next), expires_at, now)).expect("rotates")
}

fn with_account<S: Store>(store: &S) -> Account {
    let ada = account(1, "ada@example.com");
    let created = ready(store.create_account(&ada, &session(1, 10, 1, NOW), &[])).expect("creates");
    assert_eq!(created, Creation::Created);
    ada
}

fn an_account_is_found_by_address_and_id<S: Store>(store: &S) {
    let ada = with_account(store);
    assert_eq!(ready(store.account_by_email(&ada.email)), Ok(Some(ada.clone())));
    assert_eq!(ready(store.account_by_id(ada.id)), Ok(Some(ada)));
    assert_eq!(ready(store.account_by_id(Uuid::from_u128(2))), Ok(None));
    assert_eq!(
        ready(store.account_by_email(&account(2, "bob@example.com").email)),
        Ok(None)
    );
}

fn an_address_is_taken_once<S: Store>(store: &S) {
    let ada = with_account(store);
    let other = account(2, "ada@example.com");
    let taken = ready(store.create_account(&other, &session(2, 20, 2, NOW), &[]));
    assert_eq!(taken, Ok(Creation::EmailTaken));
    assert_eq!(ready(store.account_by_email(&ada.email)), Ok(Some(ada)));
    assert_eq!(ready(store.account_by_id(other.id)), Ok(None));
    assert_eq!(
        rotate(store, 2, 20, 21, NOW),
        Rotation::Refused,
        "nor is there a session"
    );
}

fn a_session_continues_with_its_last_token_only<S: Store>(store: &S) {
    let ada = with_account(store);
    assert_eq!(rotate(store, 1, 10, 11, NOW), Rotation::Continued(ada.clone()));
    assert_eq!(
        rotate(store, 1, 11, 12, later(1)),
        Rotation::Continued(ada.clone())
    );
    assert_eq!(rotate(store, 1, 10, 13, later(2)), Rotation::Reused(ada.id));
    assert_eq!(
        rotate(store, 1, 12, 13, later(3)),
        Rotation::Refused,
        "reuse ends the session for both"
    );
}

fn an_expired_session_is_refused_and_gone<S: Store>(store: &S) {
    let ada = with_account(store);
    assert_eq!(
        rotate(store, 1, 10, 11, later(99)),
        Rotation::Continued(ada),
        "the last second is good"
    );
    assert_eq!(rotate(store, 1, 11, 12, later(199)), Rotation::Refused);
    assert_eq!(
        rotate(store, 1, 11, 12, later(100)),
        Rotation::Refused,
        "it does not come back to life"
    );
}

fn a_session_of_nobody_is_refused<S: Store>(store: &S) {
    ready(store.open_session(&session(1, 10, 99, NOW), &[])).expect("opens");
    assert_eq!(rotate(store, 1, 10, 11, NOW), Rotation::Refused);
}

fn an_ended_session_is_refused<S: Store>(store: &S) {
    let ada = with_account(store);
    ready(store.open_session(&session(2, 20, 1, NOW), &[])).expect("opens");
    ready(store.end_session(digest(1))).expect("ends");
    ready(store.end_session(digest(9))).expect("ends what is not there");
    assert_eq!(rotate(store, 1, 10, 11, NOW), Rotation::Refused);
    assert_eq!(
        rotate(store, 2, 20, 21, NOW),
        Rotation::Continued(ada),
        "other sessions go on"
    );
}

fn the_oldest_sessions_of_an_account_make_room<S: Store>(store: &S) {
    let ada = with_account(store);
    let bob = account(2, "bob@example.com");
    ready(store.create_account(&bob, &session(255, 255, 2, NOW), &[])).expect("creates");
    // Session 1 is the oldest by birth, but has been used.
    assert_eq!(
        rotate(store, 1, 10, 11, later(50)),
        Rotation::Continued(ada.clone())
    );
    for number in 0..MAX_SESSIONS as u8 {
        let at = later(u64::from(number));
        ready(store.open_session(&session(100 + number, 10, 1, at), &[])).expect("opens");
    }
    assert_eq!(
        rotate(store, 100, 10, 11, later(61)),
        Rotation::Refused,
        "the one used longest ago made room"
    );
    assert_eq!(
        rotate(store, 1, 11, 12, later(61)),
        Rotation::Continued(ada.clone())
    );
    let last = 99 + MAX_SESSIONS as u8;
    assert_eq!(rotate(store, last, 10, 11, later(61)), Rotation::Continued(ada));
    assert_eq!(
        rotate(store, 255, 255, 254, later(61)),
        Rotation::Continued(bob),
        "others keep theirs"
    );
}

fn expired_sessions_are_forgotten<S: Store>(store: &S) {
    with_account(store);
    ready(store.open_session(&session(2, 20, 1, later(100)), &[])).expect("opens");
    // Asked as of an earlier time, at which it would still be good.
    assert_eq!(rotate(store, 1, 10, 11, later(50)), Rotation::Refused);
}

fn client(name: &str) -> Charge {
    Charge::client(&Client::from_peer(Some(name)))
}

fn charge(store: &impl Store, charges: &[Charge], now: Timestamp) -> Admission {
    ready(store.charge(charges, now)).expect("charges")
}

fn small(name: &str, burst: u32) -> Charge {
    let subject: Subject = client(name).subject;
    Charge {
        subject,
        allowance: Allowance {
            burst,
            interval: Duration::from_secs(10),
        },
    }
}

fn charges_are_all_or_none<S: Store>(store: &S) {
    let (one, two) = (small("192.0.2.1", 1), small("192.0.2.2", 2));
    assert_eq!(charge(store, &[one, two], NOW), Admission::Admitted);
    assert_eq!(
        charge(store, &[one, two], later(4)),
        Admission::Refused(Duration::from_secs(6))
    );
    assert_eq!(
        charge(store, &[two], later(4)),
        Admission::Admitted,
        "the refusal cost nothing"
    );
    assert_eq!(
        charge(store, &[two], later(4)),
        Admission::Refused(Duration::from_secs(6))
    );
    assert_eq!(charge(store, &[one], later(10)), Admission::Admitted);
}

fn refunds_give_attempts_back<S: Store>(store: &S) {
    let ada = with_account(store);
    let one = small("192.0.2.1", 1);
    assert_eq!(charge(store, &[one], NOW), Admission::Admitted);
    ready(store.open_session(&session(2, 20, 1, NOW), &[one, small("192.0.2.9", 1)])).expect("opens");
    assert_eq!(charge(store, &[one], NOW), Admission::Admitted);
    let taken = Account {
        id: Uuid::from_u128(2),
        ..ada
    };
    ready(store.create_account(&taken, &session(3, 30, 2, NOW), &[one])).expect("answers");
    assert!(
        matches!(charge(store, &[one], NOW), Admission::Refused(_)),
        "nothing is paid back for a taken address"
    );
    ready(store.create_account(&account(3, "cy@example.com"), &session(4, 40, 3, NOW), &[one]))
        .expect("creates");
    assert_eq!(charge(store, &[one], NOW), Admission::Admitted);
}

fn of_two_successors_of_a_key_one_wins<S: Store>(store: &S) {
    assert!(ready(store.keys()).expect("reads").newest().is_none());
    let (a, b, c) = (
        SigningKey::new([1; 32], NOW),
        SigningKey::new([2; 32], NOW),
        SigningKey::new([3; 32], later(9)),
    );
    let newest = |ring: crate::key::KeyRing| {
        ring.newest()
            .map(|key| (key.kid().to_owned(), key.seed(), key.created_at()))
    };
    let is = |key: &SigningKey| Some((key.kid().to_owned(), key.seed(), key.created_at()));
    assert_eq!(
        newest(ready(store.succeed_key(None, &a, &[])).expect("stores")),
        is(&a)
    );
    assert_eq!(
        newest(ready(store.succeed_key(None, &b, &[])).expect("answers")),
        is(&a),
        "b came too late"
    );
    assert_eq!(
        newest(ready(store.succeed_key(Some(a.kid()), &c, &[])).expect("stores")),
        is(&c)
    );
    let ring = ready(store.keys()).expect("reads");
    assert!(
        ring.public(a.kid()).is_some() && ring.public(b.kid()).is_none() && ring.public(c.kid()).is_some()
    );
}

fn retired_keys_are_forgotten<S: Store>(store: &S) {
    let (a, b) = (SigningKey::new([1; 32], NOW), SigningKey::new([2; 32], later(9)));
    ready(store.succeed_key(None, &a, &[])).expect("stores");
    let ring = ready(store.succeed_key(Some(a.kid()), &b, &[a.kid().to_owned()])).expect("stores");
    assert!(ring.public(a.kid()).is_none() && ring.public(b.kid()).is_some());
}

fn there_is_one_bootstrap<S: Store>(store: &S) {
    let announced = Cell::new(0);
    let announce = || announced.set(announced.get() + 1);
    assert_eq!(ready(store.bootstrapped()), Ok(false));
    let admin = account(1, "admin@example.com");
    assert_eq!(ready(store.bootstrap(&admin, &announce)), Ok(true));
    assert_eq!(ready(store.bootstrapped()), Ok(true));
    assert_eq!(
        ready(store.bootstrap(&account(2, "other@example.com"), &announce)),
        Ok(false)
    );
    assert_eq!(announced.get(), 1);
    assert_eq!(ready(store.account_by_email(&admin.email)), Ok(Some(admin)));
    assert_eq!(ready(store.account_by_id(Uuid::from_u128(2))), Ok(None));
}
