//! `midplane history`: the journal of a running host.

use clap::Args;

use super::Failure;
use super::change::{Format, Output};
use super::client::{Client, HostArgs};
use super::table::table;
use crate::admin::api::{Change, Entry, History as Journal};
use crate::model::ServiceName;

/// Show what was changed, by whom, and what came of it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  midplane history                   the last changes, refused ones among them, the newest first
  midplane history orders --limit 5  the last five of `orders`
  midplane history --format json | jq '.entries[] | select(.outcome == \"rolled back\") | .cause'

Exit codes: 0 done; 1 failed; 2 wrong usage.")]
pub(super) struct History {
    /// Only what is about this service.
    service: Option<ServiceName>,
    /// How many entries at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    limit: u16,
    /// How to print it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    host: HostArgs,
}

impl History {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = Client::connect(&self.host).await?;
        self.act(&client, &mut Output::stdout()).await
    }

    async fn act(&self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        let service = self.service.as_ref().map(ServiceName::as_str);
        let entries = client.history(service, None, self.limit.into()).await?;
        match self.format {
            Format::Json => output.json(&Journal { entries, next: None }),
            Format::Text => output.put(&text(&entries, service)).map(|_reader| ()),
        }
    }
}

/// A row for each service that an entry changed; what belongs to the entry stands in the first one.
fn text(entries: &[Entry], service: Option<&str>) -> String {
    let mut rows = Vec::new();
    for entry in entries {
        let mut about = entry
            .changes
            .iter()
            .filter(|change| service.is_none_or(|service| change.service == service));
        let first = about.next();
        rows.push([
            entry.number.to_string(),
            entry.at.clone(),
            entry.by.clone(),
            entry.action.clone(),
            entry.outcome.clone(),
            first.map_or_else(String::new, |change| change.service.clone()),
            first.map_or_else(String::new, way),
            in_one_line(entry.cause.as_deref().unwrap_or_default()),
        ]);
        rows.extend(about.map(|change| {
            let none = String::new;
            let service = change.service.clone();
            [
                none(),
                none(),
                none(),
                none(),
                none(),
                service,
                way(change),
                none(),
            ]
        }));
    }
    table(
        [
            "NUMBER",
            "TIME",
            "WHO",
            "ACTION",
            "OUTCOME",
            "SERVICE",
            "FROM → TO",
            "CAUSE",
        ],
        &rows,
    )
}

fn way(change: &Change) -> String {
    match (&change.from, &change.to) {
        (None, None) => String::new(),
        (Some(from), None) => format!("{from} →"),
        (None, Some(to)) => format!("→ {to}"),
        (Some(from), Some(to)) => format!("{from} → {to}"),
    }
}

fn in_one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::client::stand_in::{StandIn, entry};

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        history: History,
    }

    async fn history(stand_in: &StandIn, arguments: &[&str]) -> String {
        let arguments = ["midplane"].iter().chain(arguments);
        let typed = Typed::try_parse_from(arguments).unwrap();
        let mut told = Vec::new();
        let client = stand_in.client().await;
        let done = typed.history.act(&client, &mut Output::to(&mut told)).await;
        assert!(done.is_ok());
        String::from_utf8(told).unwrap()
    }

    #[tokio::test]
    async fn entries_are_shown_with_who_what_and_why() {
        let stand_in = StandIn::start().await;
        let set =
            json!([{"service": "auth", "from": "aaa", "to": "bbb"}, {"service": "orders", "to": "ccc"}]);
        let entries = json!([
            entry(
                json!({"number": 3, "outcome": "refused", "cause": "it exports no handler\n  of HTTP",
                         "changes": [{"service": "old", "from": "aaa"}]})
            ),
            entry(json!({"number": 2, "changes": set})),
            entry(json!({"number": 1, "action": "start", "by": "host"})),
        ]);
        stand_in.answer(
            "GET /v1/apps/shop/history?limit=20",
            json!({"entries": entries, "next": null}),
        );
        assert_eq!(
            history(&stand_in, &[]).await,
            "\
NUMBER  TIME                  WHO   ACTION  OUTCOME    SERVICE  FROM → TO  CAUSE
3       2026-11-21T10:00:00Z  ada   deploy  refused    old      aaa →      it exports no handler; of HTTP
2       2026-11-21T10:00:00Z  ada   deploy  published  auth     aaa → bbb
                                                       orders   → ccc
1       2026-11-21T10:00:00Z  host  start   published
"
        );
        let printed: Value = serde_json::from_str(&history(&stand_in, &["--format", "json"]).await).unwrap();
        assert_eq!(printed["entries"][0]["cause"], "it exports no handler\n  of HTTP");
    }

    #[tokio::test]
    async fn pages_are_put_together_up_to_the_limit() {
        let stand_in = StandIn::start().await;
        let page = |from: u64, to: u64, next: Option<u64>| {
            let entries: Vec<Value> = (to..=from)
                .rev()
                .map(|number| entry(json!({"number": number})))
                .collect();
            json!({"entries": entries, "next": next})
        };
        let base = "GET /v1/apps/shop/services/orders/history";
        stand_in.answer(&format!("{base}?limit=100"), page(200, 101, Some(101)));
        stand_in.answer(&format!("{base}?limit=50&before=101"), page(100, 61, Some(61)));
        stand_in.answer(&format!("{base}?limit=10&before=61"), page(60, 55, None));
        let told = history(&stand_in, &["orders", "--limit", "150"]).await;
        let numbers: Vec<&str> = told
            .lines()
            .skip(1)
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(
            (numbers.len(), numbers.first(), numbers.last()),
            (146, Some(&"200"), Some(&"55"))
        );
    }

    #[test]
    fn a_limit_is_at_least_one() {
        assert!(Typed::try_parse_from(["midplane", "--limit", "0"]).is_err());
    }
}
