//! `midplane promote`: a candidate becomes current, or gets another share.

use clap::Args;

use super::Failure;
use super::change::{Asked, ChangeArgs, Output, drain_timeout, interruptible, weight};
use super::client::Client;
use crate::admin::api;
use crate::model::ServiceName;

/// Make a candidate the current revision, or give it another share of the requests.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  midplane promote orders                the candidate of `orders` gets all requests
  midplane promote orders --canary 50%   it gets half of them; who had it keeps it

With it go all candidates that were deployed together with it.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 the host did not let it in, or is busy with another change.")]
pub(super) struct Promote {
    /// The service.
    service: ServiceName,
    /// Only to this share of the requests, such as 50%.
    #[arg(long, value_name = "SHARE", value_parser = weight)]
    canary: Option<String>,
    /// How long requests may take to leave the revision that is replaced, in seconds [default: 300].
    #[arg(long, value_name = "SECONDS", value_parser = drain_timeout)]
    drain_timeout: Option<f64>,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Promote {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.change.connect().await?;
        interruptible(self.act(&client, &mut Output::stdout())).await
    }

    async fn act(&self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let promote = api::Promote {
            weight: self.canary.clone(),
            drain_timeout: self.drain_timeout,
        };
        let outcome = client.promote(&self.service, &promote).await?;
        let asked = self.canary.as_deref().map_or(Asked::Publish, Asked::Share);
        output.outcome(&outcome, asked, &[self.service.to_string()], self.change.format)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::Exit;
    use crate::cli::client::stand_in::{StandIn, outcome};

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        promote: Promote,
    }

    const PROMOTE: &str = "POST /v1/apps/shop/services/orders/promote";

    async fn promote(stand_in: &StandIn, arguments: &[&str]) -> (Result<(), Failure>, String) {
        let arguments = ["midplane"].iter().chain(arguments);
        let typed = Typed::try_parse_from(arguments).unwrap();
        let mut told = Vec::new();
        let client = stand_in.client().await;
        let done = typed.promote.act(&client, &mut Output::to(&mut told)).await;
        (done, String::from_utf8(told).unwrap())
    }

    #[tokio::test]
    async fn a_candidate_becomes_current_or_gets_another_share() {
        let stand_in = StandIn::start().await;
        let change = json!([{"service": "orders", "from": "aaa", "to": "bbb"}]);
        stand_in.answer(PROMOTE, outcome(json!({"changes": change})));
        let (done, told) = promote(&stand_in, &["orders"]).await;
        assert!(done.is_ok());
        assert_eq!(told, "orders: aaa → bbb published in 38 ms (generation 7)\n");
        assert_eq!(stand_in.asked_for(PROMOTE).json(), json!({}));

        let (done, told) = promote(&stand_in, &["orders", "--canary", "50"]).await;
        assert!(done.is_ok());
        assert_eq!(
            told,
            "orders: candidate bbb gets 50% of the requests, published in 38 ms (generation 7)\n"
        );
        assert_eq!(stand_in.asked().pop().unwrap().json(), json!({"weight": "50%"}));

        let (done, told) = promote(&stand_in, &["orders", "--format", "json"]).await;
        assert!(done.is_ok());
        let printed: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(printed, outcome(json!({"changes": change})));
    }

    #[tokio::test]
    async fn a_service_without_a_candidate_is_an_error() {
        let stand_in = StandIn::start().await;
        let problem = json!({"detail": "orders has no candidate", "kind": "not-found"});
        stand_in.problem(PROMOTE, 404, problem);
        let (done, _) = promote(&stand_in, &["orders"]).await;
        assert_eq!(done.unwrap_err().exit, Exit::Failed);
    }

    #[test]
    fn a_share_is_less_than_all() {
        assert!(Typed::try_parse_from(["midplane", "orders", "--canary", "100%"]).is_err());
    }
}
