//! `midplane rollback`: a revision of before becomes current again.

use clap::Args;

use super::change::{Asked, ChangeArgs, Format, Output, drain_timeout, interruptible};
use super::client::Client;
use super::{Failure, wait};
use crate::admin::api;
use crate::model::ServiceName;

/// Bring a revision of before back.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  midplane rollback orders                 the revision that was current before this one
  midplane rollback orders 3f2a91 --wait   that one, by the first digits of its identity; wait until requests have
                                           left the present one

`midplane history orders` shows what there was. Code comes back, data does not: what the newer revision wrote stays.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 the host did not let it in, or is busy with another change.")]
pub(super) struct Rollback {
    /// The service.
    service: ServiceName,
    /// The revision, by its identity or the beginning of it [default: the one that was current before].
    revision: Option<String>,
    /// Wait until requests have left the revision that is replaced.
    #[arg(long)]
    wait: bool,
    /// Take a revision that may touch more than the present one.
    #[arg(long)]
    allow_new_grants: bool,
    /// How long requests may take to leave the present revision, in seconds [default: 300].
    #[arg(long, value_name = "SECONDS", value_parser = drain_timeout)]
    drain_timeout: Option<f64>,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Rollback {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.change.connect().await?;
        interruptible(self.act(&client, &mut Output::stdout())).await
    }

    async fn act(&self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let rollback = api::Rollback {
            revision: self.revision.clone(),
            allow_new_grants: self.allow_new_grants,
            drain_timeout: self.drain_timeout,
        };
        let outcome = client.rollback(&self.service, &rollback).await?;
        let services = [self.service.to_string()];
        output.outcome(&outcome, Asked::Publish, &services, self.change.format)?;
        if self.wait
            && let Some(drained) = wait::drained(client, &outcome).await?
            && self.change.format == Format::Text
        {
            output.put(&drained.told())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::cli::Exit;
    use crate::cli::client::stand_in::{StandIn, entry, outcome};

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        rollback: Rollback,
    }

    const ROLLBACK: &str = "POST /v1/apps/shop/services/orders/rollback";

    async fn rollback(stand_in: &StandIn, arguments: &[&str]) -> (Result<(), Failure>, String) {
        let arguments = ["midplane"].iter().chain(arguments);
        let typed = Typed::try_parse_from(arguments).unwrap();
        let mut told = Vec::new();
        let client = stand_in.client().await;
        let done = typed.rollback.act(&client, &mut Output::to(&mut told)).await;
        (done, String::from_utf8(told).unwrap())
    }

    #[tokio::test]
    async fn the_last_revision_is_asked_for_or_the_one_that_is_named() {
        let stand_in = StandIn::start().await;
        let change = json!([{"service": "orders", "from": "bbb", "to": "aaa"}]);
        stand_in.answer(ROLLBACK, outcome(json!({"changes": change})));
        let (done, told) = rollback(&stand_in, &["orders"]).await;
        assert!(done.is_ok());
        assert_eq!(told, "orders: bbb → aaa published in 38 ms (generation 7)\n");
        assert_eq!(stand_in.asked_for(ROLLBACK).json(), json!({}));

        let options = ["orders", "aa", "--allow-new-grants", "--drain-timeout", "5"];
        let (done, _) = rollback(&stand_in, &options).await;
        assert!(done.is_ok());
        let asked = stand_in.asked().pop().unwrap();
        assert_eq!(
            asked.json(),
            json!({"revision": "aa", "allow_new_grants": true, "drain_timeout": 5.0})
        );
    }

    #[tokio::test]
    async fn waiting_ends_with_the_last_request_on_what_was_replaced() {
        let stand_in = StandIn::start().await;
        let change = json!([{"service": "orders", "from": "bbb", "to": "aaa"}]);
        stand_in.answer(ROLLBACK, outcome(json!({"changes": change})));
        let drained = entry(json!({"number": 40, "drain_ms": 3210.0, "interrupted": 2}));
        stand_in.answer(
            "GET /v1/apps/shop/history?limit=1&before=41",
            json!({"entries": [drained]}),
        );
        let (done, told) = rollback(&stand_in, &["orders", "--wait"]).await;
        assert!(done.is_ok());
        assert!(
            told.ends_with("the old revisions are gone after 3.2 s: 2 requests were interrupted\n"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn a_host_that_is_busy_has_an_exit_code_of_its_own() {
        let stand_in = StandIn::start().await;
        let problem =
            json!({"detail": "other changes of orders are under way", "kind": "busy", "hint": "try again"});
        stand_in.problem(ROLLBACK, 409, problem);
        let (done, told) = rollback(&stand_in, &["orders"]).await;
        let failure = done.unwrap_err();
        assert_eq!(
            (failure.exit, failure.hint.as_deref()),
            (Exit::Refused, Some("try again"))
        );
        assert_eq!(failure.error.to_string(), "other changes of orders are under way");
        assert_eq!(told, "");
    }
}
