//! `midplane status`: what a running host serves.

use clap::Args;

use super::Failure;
use super::change::{Format, Output};
use super::client::{Client, HostArgs};
use super::table::{duration, table};
use crate::admin::api::{App, Revision, Service};
use crate::model::ServiceName;

/// Show what a running host serves.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  midplane status           every service with its revision, its candidate and what still drains
  midplane status orders    one service, with its routes
  midplane status --format json | jq '.services[] | {service, revision: .current.revision}'

Exit codes: 0 done; 1 failed; 2 wrong usage.")]
pub(super) struct Status {
    /// Only this service.
    service: Option<ServiceName>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    host: HostArgs,
}

impl Status {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = Client::connect(&self.host).await?;
        self.act(&client, &mut Output::stdout()).await
    }

    async fn act(&self, client: &Client, output: &mut Output<'_>) -> Result<(), Failure> {
        match (&self.service, self.format) {
            (None, Format::Json) => output.json(&client.status().await?),
            (Some(service), Format::Json) => output.json(&client.service(service.as_str()).await?),
            (None, Format::Text) => output.put(&app(&client.status().await?)).map(|_reader| ()),
            (Some(name), Format::Text) => {
                let service = client.service(name.as_str()).await?;
                output.put(&one(&service)).map(|_reader| ())
            }
        }
    }
}

fn app(app: &App) -> String {
    let App {
        app: name,
        url,
        generation,
        ..
    } = app;
    let rows: Vec<[String; 7]> = app.services.iter().flat_map(rows).collect();
    let used: Vec<[String; 7]> = app.services.iter().flat_map(used).collect();
    format!(
        "{name} at {url}, generation {generation}\n\n{}{}",
        services(&rows),
        usage(&used)
    )
}

fn one(service: &Service) -> String {
    let mut text = services(&rows(service));
    text.push_str(&usage(&used(service)));
    if !service.routes.is_empty() {
        text.push_str("\nRoutes\n");
    }
    for route in &service.routes {
        text.push_str("  ");
        text.push_str(route);
        text.push('\n');
    }
    text
}

fn services(rows: &[[String; 7]]) -> String {
    let head = [
        "SERVICE",
        "REVISION",
        "STATE",
        "SINCE",
        "IN FLIGHT",
        "SERVED",
        "FAILED",
    ];
    table(head, rows)
}

/// The current revision, then the candidate, then what drains.
fn rows(service: &Service) -> Vec<[String; 7]> {
    let row = |name: &str, state: String, revision: &Revision| {
        [
            name.to_owned(),
            revision.revision.clone(),
            state,
            revision.published_at.clone(),
            revision.in_flight.to_string(),
            revision.served.to_string(),
            revision.failed.to_string(),
        ]
    };
    let current = &service.current;
    let mut rows = vec![row(
        &service.service,
        format!("current, by {}", current.origin),
        current,
    )];
    if let Some(candidate) = &service.candidate {
        let state = format!(
            "candidate, {} by {}, rollout {}",
            candidate.weight, candidate.sticky, candidate.rollout
        );
        rows.push(row("", state, &candidate.revision));
    }
    rows.extend(service.draining.iter().map(|draining| {
        [
            String::new(),
            draining.revision.clone(),
            format!("draining until {}", draining.until),
            draining.since.clone(),
            draining.in_flight.to_string(),
            String::new(),
            String::new(),
        ]
    }));
    rows
}

/// What is used of the limits. Nothing if the host does not tell.
fn usage(rows: &[[String; 7]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = [
        "SERVICE", "REVISION", "AT ONCE", "WAITING", "MEMORY", "CPU", "DATA",
    ];
    format!("\nUse and limits\n{}", table(head, rows))
}

/// Use and limits of the current revision and the candidate.
fn used(service: &Service) -> Vec<[String; 7]> {
    let candidate = service.candidate.as_ref().map(|candidate| &candidate.revision);
    let row = |name: &str, revision: &Revision| {
        let usage = revision.usage.as_ref()?;
        let data = usage.data.iter().map(|data| {
            format!(
                "{} {} {} of {}",
                data.kind,
                data.label,
                size(data.bytes),
                size(data.limit_bytes)
            )
        });
        let instances = match usage.instances {
            1 => "1 instance".to_owned(),
            instances => format!("{instances} instances"),
        };
        Some([
            name.to_owned(),
            revision.revision.clone(),
            format!("{} of {}", revision.in_flight, usage.concurrency),
            format!("{} of {}", usage.waiting, usage.queue),
            format!(
                "{} of {} in {instances}",
                size(usage.memory_bytes),
                size(usage.memory_limit_bytes)
            ),
            format!(
                "{} (limit {} each request)",
                duration(usage.cpu_seconds * 1000.0),
                duration(usage.cpu_limit_seconds * 1000.0)
            ),
            data.collect::<Vec<_>>().join(", "),
        ])
    };
    let current = row(&service.service, &service.current);
    let candidate = candidate.and_then(|candidate| row("", candidate));
    current.into_iter().chain(candidate).collect()
}

fn size(bytes: u64) -> String {
    super::check::size(usize::try_from(bytes).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::client::stand_in::{StandIn, revision, service};

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        status: Status,
    }

    #[tokio::test]
    async fn a_host_that_does_not_tell_of_use_is_shown_without_it() {
        let stand_in = StandIn::start().await;
        let mut auth = service("auth", "dddddddddddd", json!({}));
        auth["current"].as_object_mut().unwrap().remove("usage");
        stand_in.answer("GET /v1/apps/shop/services/auth", auth);
        let told = status(&stand_in, &["auth"]).await;
        assert!(!told.contains("limits"), "{told}");
    }

    fn served() -> Value {
        let candidate = json!({
            "revision": revision("bbbbbbbbbbbb"), "weight": "10%", "sticky": "client", "rollout": 12,
        });
        let draining = json!([{
            "revision": "cccccccccccc", "in_flight": 1, "since": "2026-11-21T08:00:00Z", "until": "2026-11-21T08:05:00Z",
        }]);
        json!({
            "app": "shop", "url": "http://127.0.0.1:3000", "generation": 7, "manifest": "sha256:00",
            "services": [
                service("auth", "dddddddddddd", json!({})),
                service("orders", "aaaaaaaaaaaa", json!({"candidate": candidate, "draining": draining})),
            ],
        })
    }

    async fn status(stand_in: &StandIn, arguments: &[&str]) -> String {
        let arguments = ["midplane"].iter().chain(arguments);
        let typed = Typed::try_parse_from(arguments).unwrap();
        let mut told = Vec::new();
        let client = stand_in.client().await;
        let done = typed.status.act(&client, &mut Output::to(&mut told)).await;
        assert!(done.is_ok());
        String::from_utf8(told).unwrap()
    }

    #[tokio::test]
    async fn every_revision_that_has_requests_has_a_line() {
        let stand_in = StandIn::start().await;
        stand_in.answer("GET /v1/apps/shop", served());
        let told = status(&stand_in, &[]).await;
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(
            lines,
            [
                "shop at http://127.0.0.1:3000, generation 7",
                "",
                "SERVICE  REVISION      STATE                                 SINCE                 IN FLIGHT  SERVED  FAILED",
                "auth     dddddddddddd  current, by deploy                    2026-11-21T09:00:00Z  2          1200    3",
                "orders   aaaaaaaaaaaa  current, by deploy                    2026-11-21T09:00:00Z  2          1200    3",
                "         bbbbbbbbbbbb  candidate, 10% by client, rollout 12  2026-11-21T09:00:00Z  2          1200    3",
                "         cccccccccccc  draining until 2026-11-21T08:05:00Z   2026-11-21T08:00:00Z  1",
                "",
                "Use and limits",
                "SERVICE  REVISION      AT ONCE  WAITING   MEMORY                               CPU                                DATA",
                "auth     dddddddddddd  2 of 64  1 of 256  3.2 MiB of 256.0 MiB in 3 instances  12.3 s (limit 1.0 s each request)  sqlite default 40 KiB of 4.0 GiB",
                "orders   aaaaaaaaaaaa  2 of 64  1 of 256  3.2 MiB of 256.0 MiB in 3 instances  12.3 s (limit 1.0 s each request)  sqlite default 40 KiB of 4.0 GiB",
                "         bbbbbbbbbbbb  2 of 64  1 of 256  3.2 MiB of 256.0 MiB in 3 instances  12.3 s (limit 1.0 s each request)  sqlite default 40 KiB of 4.0 GiB",
            ]
        );
        let printed: Value = serde_json::from_str(&status(&stand_in, &["--format", "json"]).await).unwrap();
        assert_eq!(printed["services"][1]["candidate"]["weight"], "10%");
    }

    #[tokio::test]
    async fn one_service_is_shown_with_its_routes() {
        let stand_in = StandIn::start().await;
        let auth = service("auth", "dddddddddddd", json!({}));
        stand_in.answer("GET /v1/apps/shop/services/auth", auth);
        let told = status(&stand_in, &["auth"]).await;
        assert!(told.ends_with("\n\nRoutes\n  /api/...\n"), "{told}");
        let printed: Value =
            serde_json::from_str(&status(&stand_in, &["auth", "--format", "json"]).await).unwrap();
        assert_eq!(printed["current"]["revision"], "dddddddddddd");
    }
}
