//! Live links: one service calls another through a WIT contract, each in its own sandbox.

mod bench;
mod cancel;
mod compose;
mod contract;
mod fault;
mod isolation;
mod matrix;
mod outcome;
mod policy;
mod trace;

use crate::harness::{Line, TestHost};

/// The table of a service's links.
fn links(caller: &str, links: &[(&str, &str)]) -> String {
    let lines = links
        .iter()
        .map(|(interface, service)| format!("{interface:?} = {service:?}\n"));
    format!(
        "[component.{caller}.tool.midplane.links]\n{}",
        lines.collect::<String>()
    )
}

/// The table of a service's links to another service, with what the manifest says of each beside it, such as
/// `timeout = "200ms"`.
fn links_with(caller: &str, interfaces: &[&str], service: &str, policy: &str) -> String {
    let policy = if policy.is_empty() {
        String::new()
    } else {
        format!(", {policy}")
    };
    let lines = interfaces
        .iter()
        .map(|interface| format!("{interface:?} = {{ service = {service:?}{policy} }}\n"));
    format!(
        "[component.{caller}.tool.midplane.links]\n{}",
        lines.collect::<String>()
    )
}

/// What is logged of guests of a service that failed.
fn failures(lines: &[Line], service: &str) -> Vec<Line> {
    let failed = lines
        .iter()
        .filter(|line| line.field("target") == "midplane::failure" && line.field("service") == service);
    failed.cloned().collect()
}

/// The value of a sample about one service; nothing counted is zero.
async fn of_service(host: &TestHost, name: &str, service: &str) -> f64 {
    let label = format!("service={service:?}");
    host.metric(name, &[&label]).await.unwrap_or_default()
}

/// How many calls from one service to another ended so.
async fn calls(host: &TestHost, caller: &str, callee: &str, outcome: &str) -> f64 {
    let labels = [("caller", caller), ("callee", callee), ("outcome", outcome)];
    of_links(host, "midplane_link_calls_total", &labels).await
}

/// How many calls from one service to another are under way.
async fn calls_in_flight(host: &TestHost, caller: &str, callee: &str) -> f64 {
    let labels = [("caller", caller), ("callee", callee)];
    of_links(host, "midplane_link_calls_in_flight", &labels).await
}

/// The sum of the samples that have these labels: there is one for each interface by which a service calls another.
async fn of_links(host: &TestHost, name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    let text = host.admin_get("/metrics").await.text();
    let samples = text.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'))
            && labels.iter().all(|label| line.contains(label))
    });
    samples
        .map(|line| {
            let value = line.rsplit(' ').next().unwrap_or_default();
            value.parse::<f64>().expect("a sample ends with a number")
        })
        .sum()
}
