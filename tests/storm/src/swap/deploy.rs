//! Deploys: what is uploaded before, and what a refusal has to say.

use bytes::Bytes;

use super::{Made, Swapper};
use crate::admin::Answer;
use crate::app;
use crate::clock;
use crate::deck::Bad;
use crate::record::{Outcome, Track};

/// Where the numbers of revisions begin that must never answer.
const NEVER: u32 = 900_000_000;

/// What is to be deployed.
struct Order {
    track: Track,
    revision: u32,
    bad: Option<Bad>,
    services: [(&'static str, Bytes); 2],
}

impl Swapper {
    pub(super) async fn deploy(&mut self, bad: bool) -> anyhow::Result<()> {
        let order = self.order(bad)?;
        let what = format!("deploy, {:?}, {:?}", order.track, order.bad);
        let (begin, answer) = self.send(&order).await;
        // What was uploaded and is not used may be swept.
        let is_gone = matches!(&answer, Ok(Answer::Refused { kind, .. }) if kind == "not-found")
            && !order.services.is_empty();
        let (begin, answer) = if is_gone {
            self.digests.clear();
            self.send(&order).await
        } else {
            (begin, answer)
        };
        if let (Some(bad), Ok(Answer::Refused { why, .. })) = (order.bad, &answer) {
            self.refusals.entry(bad).or_insert_with(|| why.clone());
        }
        let says = order.bad.map_or(&[][..], Bad::says);
        let kinds: &[&str] = match order.bad {
            Some(Bad::NotWasm) => &["refused", "invalid"],
            _ => &["refused"],
        };
        let (outcome, times) = self.judge(answer, &what, bad, kinds, says);
        let made = Made {
            bad,
            begin,
            outcome,
            times,
        };
        self.write(&made, clock::now(), &[(order.track, order.revision)]);
        if outcome == Outcome::Published && !bad {
            *self.sets.entry(order.track).or_default() += 1;
        }
        Ok(())
    }

    /// The sets take turns; and so do the good revisions of each, and what is bad about the bad ones.
    fn order(&self, bad: bool) -> anyhow::Result<Order> {
        let track = if (self.calls / 2).is_multiple_of(2) {
            Track::P2
        } else {
            Track::P3
        };
        if bad {
            let kinds = Bad::ALL.len() as u32;
            let kind = Bad::ALL[(self.bads % kinds) as usize];
            let revision = NEVER
                + if self.mix.revisions == 0 {
                    self.bads
                } else {
                    self.bads % kinds
                };
            return Ok(Order {
                track,
                revision,
                bad: Some(kind),
                services: self.deck.bad_set(track, revision, kind)?,
            });
        }
        let made = self.sets.get(&track).copied().unwrap_or(0);
        let turn = if self.mix.revisions == 0 {
            made
        } else {
            made % self.mix.revisions
        };
        let revision = app::FIRST + 1 + turn;
        Ok(Order {
            track,
            revision,
            bad: None,
            services: self.deck.set(track, revision)?,
        })
    }

    /// Uploads what the host does not have, and deploys. Returns when the deploy began, and what the host said.
    async fn send(&mut self, order: &Order) -> (u64, anyhow::Result<Answer>) {
        let mut services = Vec::new();
        for (service, bytes) in &order.services {
            let key = (*service, order.revision);
            let known = self.digests.get(&key).cloned();
            let digest = match known {
                Some(digest) => digest,
                None => match self.admin.upload(bytes.clone()).await {
                    Ok(Ok(digest)) => digest,
                    Ok(Err(refused)) => return (clock::now(), Ok(refused)),
                    Err(error) => return (clock::now(), Err(error)),
                },
            };
            if self.mix.revisions > 0 {
                self.digests.insert(key, digest.clone());
            }
            services.push((*service, digest));
        }
        let begin = clock::now();
        (begin, self.admin.deploy(&services).await)
    }
}
