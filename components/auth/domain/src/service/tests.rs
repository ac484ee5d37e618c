//! The domain over its in-memory store, with a clock that the test turns.

use super::*;
use crate::Timestamp;
use crate::testing::{Counting, Memory, StoppedClock, ready, suite};
use std::cell::RefCell;

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";

fn auth() -> Auth<Memory, StoppedClock, Counting> {
    Auth {
        store: Memory::default(),
        clock: StoppedClock::at(Timestamp::from_seconds(1_800_000_000)),
        random: Counting::default(),
        hasher: Hasher::with_cost(8, 1).unwrap(),
        policy: Policy::DEFAULT,
    }
}

fn client(number: u8) -> Client {
    Client::from_peer(Some(&format!("192.0.2.{number}:4711")))
}

fn registered() -> (Auth<Memory, StoppedClock, Counting>, Grant) {
    let auth = auth();
    let grant = ready(auth.register(EMAIL, PASSWORD, &client(1))).unwrap();
    (auth, grant)
}

#[test]
fn the_store_in_memory_does_what_a_store_has_to() {
    for requirement in suite::requirements::<Memory>() {
        println!("{}", requirement.name);
        (requirement.check)(&Memory::default());
    }
}

#[test]
fn who_registers_is_logged_in_as_a_customer() {
    let (auth, grant) = registered();
    assert_eq!(grant.expires_in, Duration::from_secs(900));
    let me = ready(auth.me(&grant.access_token)).unwrap();
    assert_eq!(
        (me.email.as_str(), me.roles.as_slice()),
        (EMAIL, &[Role::Customer][..])
    );
    assert!(me.password_hash.starts_with("$argon2id$"));
    let claims = ready(auth.verify(&grant.access_token)).unwrap();
    assert_eq!(claims.sub, me.id.to_string());
    assert_eq!(claims.roles, ["customer"]);
    assert_eq!(claims.exp - claims.iat, 900);
    assert!(ready(auth.refresh(&grant.refresh_token.reveal())).is_ok());
}

#[test]
fn an_address_registers_once_in_any_spelling() {
    let (auth, _) = registered();
    let again = ready(auth.register(" ADA@example.com", "another password", &client(1)));
    assert_eq!(again.unwrap_err(), AuthError::EmailTaken);
    assert!(ready(auth.login(EMAIL, PASSWORD, &client(1))).is_ok());
}

#[test]
fn bad_addresses_and_passwords_do_not_register() {
    let auth = auth();
    let error = |email, password| ready(auth.register(email, password, &client(1))).unwrap_err();
    assert!(matches!(error("ada", PASSWORD), AuthError::Email(_)));
    assert!(matches!(error(EMAIL, "short"), AuthError::Password(_)));
    assert!(matches!(error(EMAIL, &"x".repeat(129)), AuthError::Password(_)));
    assert_eq!(auth.store.sessions(), 0);
}

#[test]
fn logging_in_needs_the_password_in_any_spelling_of_the_address() {
    let (auth, _) = registered();
    let grant = ready(auth.login("Ada@Example.com ", PASSWORD, &client(1))).unwrap();
    assert!(ready(auth.me(&grant.access_token)).is_ok());
    for (email, password) in [
        (EMAIL, "correct horse batterz"),
        (EMAIL, ""),
        (EMAIL, &*"x".repeat(10_000)),
        ("bob@example.com", PASSWORD),
        ("not an address", PASSWORD),
    ] {
        assert_eq!(
            ready(auth.login(email, password, &client(1))).unwrap_err(),
            AuthError::BadCredentials
        );
    }
}

#[test]
fn guesses_at_an_account_run_out_whoever_makes_them() {
    let (auth, _) = registered();
    for number in 0..10 {
        let wrong = ready(auth.login(EMAIL, "wrong password", &client(number))).unwrap_err();
        assert_eq!(wrong, AuthError::BadCredentials);
    }
    let throttled = AuthError::Throttled(Duration::from_secs(60));
    assert_eq!(
        ready(auth.login(EMAIL, "wrong password", &client(99))).unwrap_err(),
        throttled
    );
    assert_eq!(
        ready(auth.login(EMAIL, PASSWORD, &client(99))).unwrap_err(),
        throttled,
        "the right one has to wait too"
    );
    auth.clock.advance(Duration::from_secs(60));
    assert!(ready(auth.login(EMAIL, PASSWORD, &client(99))).is_ok());
}

#[test]
fn accounts_that_do_not_exist_are_throttled_alike() {
    let auth = auth();
    for _ in 0..10 {
        assert_eq!(
            ready(auth.login(EMAIL, PASSWORD, &client(1))).unwrap_err(),
            AuthError::BadCredentials
        );
    }
    assert!(matches!(
        ready(auth.login(EMAIL, PASSWORD, &client(1))).unwrap_err(),
        AuthError::Throttled(_)
    ));
}

#[test]
fn guesses_from_a_network_run_out_whatever_they_are_at() {
    let (auth, _) = registered();
    for number in 0..50 {
        let email = format!("guess{number}@example.com");
        assert_eq!(
            ready(auth.login(&email, PASSWORD, &client(7))).unwrap_err(),
            AuthError::BadCredentials
        );
    }
    let wait = Duration::from_secs(6);
    assert_eq!(
        ready(auth.login(EMAIL, PASSWORD, &client(7))).unwrap_err(),
        AuthError::Throttled(wait)
    );
    assert_eq!(
        ready(auth.register("new@example.com", PASSWORD, &client(7))).unwrap_err(),
        AuthError::Throttled(wait)
    );
    assert!(ready(auth.login(EMAIL, PASSWORD, &client(8))).is_ok());
}

#[test]
fn asking_for_addresses_by_registering_runs_out_too() {
    let (auth, _) = registered();
    for _ in 0..50 {
        assert_eq!(
            ready(auth.register(EMAIL, PASSWORD, &client(7))).unwrap_err(),
            AuthError::EmailTaken
        );
    }
    assert!(matches!(
        ready(auth.register(EMAIL, PASSWORD, &client(7))).unwrap_err(),
        AuthError::Throttled(_)
    ));
}

#[test]
fn right_passwords_are_never_throttled() {
    let (auth, _) = registered();
    for _ in 0..200 {
        ready(auth.login(EMAIL, PASSWORD, &client(1))).unwrap();
    }
}

#[test]
fn refresh_tokens_are_good_once_and_reuse_ends_the_session() {
    let (auth, first) = registered();
    let second = ready(auth.refresh(&first.refresh_token.reveal())).unwrap();
    assert!(ready(auth.me(&second.access_token)).is_ok());
    let id = ready(auth.me(&first.access_token)).unwrap().id;
    let third = ready(auth.refresh(&second.refresh_token.reveal())).unwrap();
    let reused = ready(auth.refresh(&first.refresh_token.reveal())).unwrap_err();
    assert_eq!(reused, AuthError::ReusedRefreshToken(id));
    let revoked = ready(auth.refresh(&third.refresh_token.reveal())).unwrap_err();
    assert_eq!(revoked, AuthError::BadRefreshToken);
}

#[test]
fn reuse_in_one_session_leaves_the_others() {
    let (auth, first) = registered();
    let other = ready(auth.login(EMAIL, PASSWORD, &client(1))).unwrap();
    ready(auth.refresh(&first.refresh_token.reveal())).unwrap();
    assert!(ready(auth.refresh(&first.refresh_token.reveal())).is_err());
    assert!(ready(auth.refresh(&other.refresh_token.reveal())).is_ok());
}

#[test]
fn refresh_tokens_expire_when_they_lie_about() {
    let (auth, first) = registered();
    auth.clock.advance(Duration::from_secs(30 * 86_400 - 1));
    let second = ready(auth.refresh(&first.refresh_token.reveal())).unwrap();
    auth.clock.advance(Duration::from_secs(30 * 86_400));
    let late = ready(auth.refresh(&second.refresh_token.reveal())).unwrap_err();
    assert_eq!(late, AuthError::BadRefreshToken);
}

#[test]
fn made_up_refresh_tokens_are_refused() {
    let (auth, grant) = registered();
    let made_up = RefreshToken::first([7; TOKEN_LENGTH]).reveal();
    for token in ["", "x", &made_up, &grant.access_token] {
        assert_eq!(
            ready(auth.refresh(token)).unwrap_err(),
            AuthError::BadRefreshToken
        );
    }
}

#[test]
fn logging_out_ends_the_session_with_any_of_its_tokens() {
    let (auth, first) = registered();
    let second = ready(auth.refresh(&first.refresh_token.reveal())).unwrap();
    ready(auth.logout(&first.refresh_token.reveal())).unwrap();
    assert_eq!(
        ready(auth.refresh(&second.refresh_token.reveal())).unwrap_err(),
        AuthError::BadRefreshToken
    );
    ready(auth.logout(&first.refresh_token.reveal())).unwrap();
    ready(auth.logout("no token")).unwrap();
}

#[test]
fn access_tokens_expire() {
    let (auth, grant) = registered();
    auth.clock.advance(Duration::from_secs(899));
    assert!(ready(auth.me(&grant.access_token)).is_ok());
    auth.clock.advance(Duration::from_secs(1));
    assert_eq!(
        ready(auth.me(&grant.access_token)).unwrap_err(),
        AuthError::Token(TokenError::Expired)
    );
}

#[test]
fn a_token_outlives_the_rotation_of_its_key() {
    let (mut auth, _) = registered();
    auth.policy.key_rotation = Duration::from_secs(1000);
    auth.clock.advance(Duration::from_secs(999));
    let old = ready(auth.login(EMAIL, PASSWORD, &client(1))).unwrap();
    auth.clock.advance(Duration::from_secs(2));
    let new = ready(auth.login(EMAIL, PASSWORD, &client(1))).unwrap();
    let kid = |token: &str| token.split('.').next().unwrap().to_owned();
    assert_ne!(kid(&old.access_token), kid(&new.access_token));
    assert!(ready(auth.verify(&old.access_token)).is_ok());
    let keys = |jwks: Jwks| {
        serde_json::to_value(jwks).unwrap()["keys"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(keys(ready(auth.jwks()).unwrap()), 2);
    auth.clock.advance(Duration::from_secs(960));
    assert_eq!(
        keys(ready(auth.jwks()).unwrap()),
        1,
        "nothing that the old key signed is alive"
    );
}

#[test]
fn tokens_of_another_store_are_not_ours() {
    let (ours, elsewhere) = (auth(), auth());
    elsewhere.random.skip(1);
    ready(ours.jwks()).unwrap();
    let grant = ready(elsewhere.register(EMAIL, PASSWORD, &client(1))).unwrap();
    assert_eq!(
        ready(ours.me(&grant.access_token)).unwrap_err(),
        AuthError::Token(TokenError::UnknownKey)
    );
}

#[test]
fn a_token_does_not_outlive_its_account_for_me_and_refresh() {
    let (auth, grant) = registered();
    auth.store.remove_account(&EMAIL.parse().unwrap());
    assert_eq!(
        ready(auth.me(&grant.access_token)).unwrap_err(),
        AuthError::AccountGone
    );
    assert!(ready(auth.verify(&grant.access_token)).is_ok());
    assert_eq!(
        ready(auth.refresh(&grant.refresh_token.reveal())).unwrap_err(),
        AuthError::BadRefreshToken
    );
}

#[test]
fn the_key_set_is_never_empty() {
    let auth = auth();
    let jwks = serde_json::to_value(ready(auth.jwks()).unwrap()).unwrap();
    assert_eq!(jwks["keys"][0]["crv"], "Ed25519");
    assert_eq!(serde_json::to_value(ready(auth.jwks()).unwrap()).unwrap(), jwks);
}

#[test]
fn a_failing_store_is_an_error_and_costs_no_session() {
    let (auth, grant) = registered();
    let failure = StoreError::Busy("locked".to_owned());
    auth.store.fail_with(Some(failure.clone()));
    assert_eq!(
        ready(auth.refresh(&grant.refresh_token.reveal())).unwrap_err(),
        AuthError::Store(failure.clone())
    );
    assert_eq!(
        ready(auth.login(EMAIL, PASSWORD, &client(1))).unwrap_err(),
        AuthError::Store(failure)
    );
    auth.store.fail_with(None);
    assert!(ready(auth.refresh(&grant.refresh_token.reveal())).is_ok());
}

fn bootstrap(auth: &Auth<Memory, StoppedClock, Counting>, password: Option<&str>) -> Vec<String> {
    let said = RefCell::new(Vec::new());
    let admin = Admin {
        email: "admin@example.com".parse().unwrap(),
        password: password.map(|password| Password::new(password).unwrap()),
    };
    ready(auth.bootstrap(&admin, &|announcement| {
        said.borrow_mut().push(announcement.to_string())
    }))
    .unwrap();
    said.into_inner()
}

#[test]
fn the_first_admin_gets_a_password_that_is_said_once() {
    let auth = auth();
    let said = bootstrap(&auth, None);
    let [line] = &said[..] else { panic!("{said:?}") };
    let password = line
        .strip_prefix("created the admin admin@example.com with the password ")
        .unwrap();
    let password = password.strip_suffix(" (shown only this once)").unwrap();
    assert_eq!(password.len(), 24);
    let grant = ready(auth.login("admin@example.com", password, &client(1))).unwrap();
    assert_eq!(ready(auth.verify(&grant.access_token)).unwrap().roles, ["admin"]);
    assert!(bootstrap(&auth, None).is_empty(), "there is one first start");
    assert!(bootstrap(&auth, Some("another password")).is_empty());
}

#[test]
fn a_given_admin_password_is_not_repeated() {
    let auth = auth();
    let said = bootstrap(&auth, Some(PASSWORD));
    assert_eq!(
        said,
        ["created the admin admin@example.com with the password from admin_password"]
    );
    assert!(ready(auth.login("admin@example.com", PASSWORD, &client(1))).is_ok());
}
