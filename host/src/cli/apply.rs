//! `midplane apply`: a changed manifest is put in force.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::change::{Asked, ChangeArgs, Format, Output, drain_timeout, interruptible};
use super::client::Client;
use super::{Failure, wait};
use crate::admin::api;

/// Put a changed manifest in force in a running host.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  midplane apply --dry-run           show what ./spin.toml and its components would change
  midplane apply                     change it: routes, services, grants, limits and components at the same instant
  midplane apply -f shop/spin.toml --allow-new-grants
                                     services may touch more than before, and that is wanted

Nothing is restarted, and connections stay. The manifest is read on the machine of the host.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 the host did not let it in, or is busy with another change.")]
pub(super) struct Apply {
    /// Only show what would change.
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Take services that may touch more than before.
    #[arg(long)]
    allow_new_grants: bool,
    /// Wait until requests have left what is replaced.
    #[arg(long)]
    wait: bool,
    /// How long requests may take to leave what is replaced, in seconds [default: 300].
    #[arg(long, value_name = "SECONDS", value_parser = drain_timeout)]
    drain_timeout: Option<f64>,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Apply {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.change.connect().await?;
        interruptible(self.act(&client, &mut Output::stdout())).await
    }

    async fn act(&self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let manifest = manifest(&self.change.host.app.from)?;
        let apply = api::Apply {
            manifest: manifest
                .to_str()
                .with_context(|| format!("the path {} is no UTF-8", manifest.display()))?
                .to_owned(),
            dry_run: self.dry_run,
            allow_new_grants: self.allow_new_grants,
            drain_timeout: self.drain_timeout,
        };
        let outcome = client.apply(&apply).await?;
        output.outcome(&outcome, Asked::Manifest, &[], self.change.format)?;
        if self.wait
            && let Some(drained) = wait::drained(client, &outcome).await?
            && self.change.format == Format::Text
        {
            output.put(&drained.told())?;
        }
        Ok(())
    }
}

/// The manifest that is meant, absolute. Whether it is there is seen by the host, which may be elsewhere.
fn manifest(from: &Path) -> Result<PathBuf, Failure> {
    let file = if from.is_dir() {
        from.join("spin.toml")
    } else {
        from.to_owned()
    };
    let absolute = std::path::absolute(&file);
    Ok(absolute.with_context(|| format!("cannot tell where {} is", file.display()))?)
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
        apply: Apply,
    }

    const APPLY: &str = "POST /v1/apps/shop/apply";

    async fn apply(stand_in: &StandIn, arguments: &[&str]) -> (Result<(), Failure>, String) {
        let arguments = ["midplane"].iter().chain(arguments);
        let typed = Typed::try_parse_from(arguments).unwrap();
        let mut told = Vec::new();
        let client = stand_in.client().await;
        let done = typed.apply.act(&client, &mut Output::to(&mut told)).await;
        (done, String::from_utf8(told).unwrap())
    }

    #[tokio::test]
    async fn a_dry_run_shows_the_plan() {
        let stand_in = StandIn::start().await;
        let plan = json!({"outcome": "planned", "differences": ["route /new → orders is new"]});
        stand_in.answer(APPLY, outcome(plan));
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().to_str().unwrap();
        let (done, told) = apply(&stand_in, &["-f", from, "--dry-run"]).await;
        assert!(done.is_ok());
        assert_eq!(
            told,
            "route /new → orders is new\nthis is the plan: nothing was changed (generation 7)\n"
        );
        let manifest = format!("{from}/spin.toml");
        assert_eq!(
            stand_in.asked_for(APPLY).json(),
            json!({"manifest": manifest, "dry_run": true})
        );
    }

    #[tokio::test]
    async fn grants_that_are_new_are_shown_with_what_allows_them() {
        let stand_in = StandIn::start().await;
        let problem = json!({
            "detail": "orders may touch more than before", "kind": "refused",
            "new_grants": ["orders: sqlite: default", "orders: outbound: https://pay.example"],
        });
        stand_in.problem(APPLY, 422, problem);
        let (done, told) = apply(&stand_in, &["-f", "shop/spin.toml"]).await;
        let failure = done.unwrap_err();
        assert_eq!(
            failure.error.to_string(),
            "orders may touch more than before\n  + orders: sqlite: default\n  + orders: outbound: https://pay.example"
        );
        assert_eq!(failure.exit, Exit::Refused);
        assert!(failure.hint.unwrap().contains("--allow-new-grants"));
        assert_eq!(told, "");
        let asked = stand_in.asked_for(APPLY).json();
        let here = std::env::current_dir().unwrap().join("shop/spin.toml");
        assert_eq!(asked, json!({"manifest": here}));
    }

    #[tokio::test]
    async fn it_can_wait_for_what_is_replaced_and_waits_for_nothing_else() {
        let stand_in = StandIn::start().await;
        stand_in.answer(APPLY, outcome(json!({"differences": ["route / is gone"]})));
        let change = json!([{"service": "orders", "from": "aaa", "to": "bbb"}]);
        stand_in.answer(APPLY, outcome(json!({"changes": change})));
        let drained = entry(json!({"number": 40, "drain_ms": 12.0}));
        stand_in.answer(
            "GET /v1/apps/shop/history?limit=1&before=41",
            json!({"entries": [drained]}),
        );
        let (done, told) = apply(&stand_in, &["--wait"]).await;
        assert!(done.is_ok() && !told.contains("old revisions"), "{told}");
        let (done, told) = apply(&stand_in, &["--wait", "--allow-new-grants"]).await;
        assert!(done.is_ok());
        assert!(
            told.ends_with("all requests have left the old revisions after 12 ms\n"),
            "{told}"
        );
    }
}
