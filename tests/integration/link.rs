//! Live links: one service calls another through a WIT contract, each in its own sandbox.

mod matrix;
mod outcome;

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
