//! `midplane abort`: a candidate is taken back.

use clap::Args;

use super::Failure;
use super::change::{Asked, ChangeArgs, Output, interruptible};
use super::client::Client;
use crate::model::ServiceName;

/// Take a candidate back.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  midplane abort orders   requests meet only the current revision of `orders` again

With it go all candidates that were deployed together with it.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 the host is busy with another change.")]
pub(super) struct Abort {
    /// The service.
    service: ServiceName,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Abort {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.change.connect().await?;
        interruptible(self.act(&client, &mut Output::stdout())).await
    }

    async fn act(&self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let outcome = client.abort(&self.service).await?;
        output.outcome(
            &outcome,
            Asked::Abort,
            &[self.service.to_string()],
            self.change.format,
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::cli::client::stand_in::{StandIn, outcome};

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        abort: Abort,
    }

    #[tokio::test]
    async fn a_candidate_is_taken_back_in_the_name_of_who_asks() {
        const ABORT: &str = "POST /v1/apps/shop/services/orders/abort";
        let stand_in = StandIn::start().await;
        let change = json!([{"service": "orders", "from": "bbb", "to": "aaa"}]);
        stand_in.answer(ABORT, outcome(json!({"changes": change})));
        let typed = Typed::try_parse_from(["midplane", "orders", "--by", "Ada\tLövelace"]).unwrap();
        let mut client = stand_in.client().await;
        client.act_as(&typed.abort.change.by());
        let mut told = Vec::new();
        let done = typed.abort.act(&client, &mut Output::to(&mut told)).await;
        assert!(done.is_ok());
        assert_eq!(
            String::from_utf8(told).unwrap(),
            "orders: the candidate is taken back, in 38 ms (generation 7)\n"
        );
        assert_eq!(
            stand_in.asked_for(ABORT).headers["midplane-actor"].as_bytes(),
            "Ada?Lövelace".as_bytes()
        );
    }
}
