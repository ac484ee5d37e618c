//! How many failed attempts are let through.
//!
//! Each subject (an account, a client's network) has one number: the time at which all its attempts will have been
//! paid off. An attempt moves it on by the price of one; if that would put it further ahead than the burst allows,
//! the attempt is refused and moves nothing (the generic cell rate algorithm). A time in the past means the same as
//! no entry, so a store may drop such entries at any moment, and that bounds what it holds.
//!
//! An attempt is charged before its password is looked at, so parallel guesses cannot slip through, and paid back
//! when it turns out to be right.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::{Client, Email, Timestamp};

/// The most entries that a store keeps; beyond, it drops those that are paid off soonest.
pub const MAX_ENTRIES: u32 = 100_000;

/// What attempts are counted for, as a digest: whatever was typed as an address takes 32 bytes, and no address of a
/// stranger is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject([u8; 32]);

impl Subject {
    /// Attempts to log in as this account, whether it exists or not.
    pub fn account(email: &Email) -> Self {
        Self::digest("account", email.as_str())
    }

    /// Attempts from this network.
    pub fn client(client: &Client) -> Self {
        Self::digest("client", client.as_str())
    }

    /// The digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn digest(kind: &str, text: &str) -> Self {
        Self(
            Sha256::new()
                .chain_update(kind)
                .chain_update([0])
                .chain_update(text)
                .finalize()
                .into(),
        )
    }
}

/// How many attempts a subject has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Attempts in a row before the first is refused.
    pub burst: u32,
    /// How long it takes until one more is let through.
    pub interval: Duration,
}

impl Allowance {
    /// Per account: ten, then one a minute.
    pub const ACCOUNT: Self = Self {
        burst: 10,
        interval: Duration::from_secs(60),
    };
    /// Per client network: fifty, then one in six seconds.
    pub const CLIENT: Self = Self {
        burst: 50,
        interval: Duration::from_secs(6),
    };

    /// Charges one attempt to a subject whose attempts are paid off at `paid_off`.
    ///
    /// # Errors
    /// If it has none left: how long until it has one, at least a second.
    pub fn charge(&self, paid_off: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Duration> {
        let ahead = paid_off.map_or(Duration::ZERO, |paid_off| paid_off.since(now)) + self.interval;
        let allowed = self.interval * self.burst;
        if ahead <= allowed {
            Ok(now.plus(ahead))
        } else {
            Err(ahead - allowed)
        }
    }

    /// Pays one attempt back.
    pub fn refund(&self, paid_off: Timestamp) -> Timestamp {
        Timestamp::from_seconds(paid_off.seconds().saturating_sub(self.interval.as_secs()))
    }
}

/// One subject and its allowance: what a store charges, all or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// Who pays.
    pub subject: Subject,
    /// What it has.
    pub allowance: Allowance,
}

impl Charge {
    /// An attempt on an account.
    pub fn account(email: &Email) -> Self {
        Self {
            subject: Subject::account(email),
            allowance: Allowance::ACCOUNT,
        }
    }

    /// An attempt from a network.
    pub fn client(client: &Client) -> Self {
        Self {
            subject: Subject::client(client),
            allowance: Allowance::CLIENT,
        }
    }
}

/// Charges one attempt to all of `charges` or, if one of them has none left, to none.
///
/// # Errors
/// The longest of the waits.
pub fn charge_all(
    charges: &[(Charge, Option<Timestamp>)],
    now: Timestamp,
) -> Result<Vec<(Subject, Timestamp)>, Duration> {
    let mut charged = Vec::with_capacity(charges.len());
    let mut wait = Duration::ZERO;
    for (charge, paid_off) in charges {
        match charge.allowance.charge(*paid_off, now) {
            Ok(paid_off) => charged.push((charge.subject, paid_off)),
            Err(longer) => wait = wait.max(longer),
        }
    }
    if wait.is_zero() { Ok(charged) } else { Err(wait) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);
    const THREE: Allowance = Allowance {
        burst: 3,
        interval: Duration::from_secs(10),
    };

    fn later(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_burst_passes_and_the_next_waits() {
        let first = THREE.charge(None, NOW).unwrap();
        let second = THREE.charge(Some(first), NOW).unwrap();
        let third = THREE.charge(Some(second), NOW).unwrap();
        assert_eq!(third, later(30));
        assert_eq!(THREE.charge(Some(third), NOW), Err(Duration::from_secs(10)));
        assert_eq!(THREE.charge(Some(third), later(9)), Err(Duration::from_secs(1)));
        assert_eq!(THREE.charge(Some(third), later(10)), Ok(later(40)));
        assert!(
            THREE.charge(Some(later(40)), later(10)).is_err(),
            "one interval buys one attempt"
        );
    }

    #[test]
    fn a_debt_paid_off_is_no_debt() {
        assert_eq!(THREE.charge(Some(NOW), NOW), THREE.charge(None, NOW));
        assert_eq!(
            THREE.charge(Some(NOW), later(500)),
            THREE.charge(None, later(500))
        );
    }

    #[test]
    fn a_refund_undoes_a_charge() {
        let once = THREE.charge(None, NOW).unwrap();
        let twice = THREE.charge(Some(once), NOW).unwrap();
        assert_eq!(THREE.refund(twice), once);
        assert_eq!(
            THREE.refund(Timestamp::from_seconds(3)),
            Timestamp::from_seconds(0)
        );
    }

    #[test]
    fn all_are_charged_or_none() {
        let client = Charge::client(&Client::from_peer(None));
        let account = Charge::account(&"a@example.com".parse().unwrap());
        let full = later(600);
        assert_eq!(
            charge_all(&[(client, None), (account, Some(full))], NOW),
            Err(Duration::from_secs(60))
        );
        let both_full = [(client, Some(later(300))), (account, Some(full))];
        assert_eq!(
            charge_all(&both_full, NOW),
            Err(Duration::from_secs(60)),
            "the longest wait counts"
        );
        let charged = charge_all(&[(client, None), (account, None)], NOW).unwrap();
        assert_eq!(
            charged,
            [(client.subject, later(6)), (account.subject, later(60))]
        );
    }

    #[test]
    fn an_account_and_a_client_of_one_name_are_two_subjects() {
        assert_ne!(Subject::digest("account", "x"), Subject::digest("client", "x"));
        assert_ne!(Subject::digest("a", "bc"), Subject::digest("ab", "c"));
    }

    proptest::proptest! {
        #[test]
        fn no_order_of_attempts_gets_more_than_the_allowance(gaps in proptest::collection::vec(0_u64..25, 1..200)) {
            let (mut now, mut paid_off, mut passed) = (NOW, None, 0);
            for gap in gaps {
                now = now.plus(Duration::from_secs(gap));
                if let Ok(next) = THREE.charge(paid_off, now) {
                    paid_off = Some(next);
                    passed += 1;
                }
            }
            proptest::prop_assert!(passed >= 1 && passed <= 3 + now.since(NOW).as_secs() / 10);
        }
    }
}
