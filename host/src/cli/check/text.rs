//! The app for people: one table for each kind of thing, columns aligned.

use std::fmt::Write as _;

use crate::host::check::{
    ComponentFacts, DataKind, EdgeScope, Graph, LinkCallee, LinkEdge, LinkKind, RouteTarget,
};
use crate::model::DataScope;

/// Prints the app.
pub(super) fn print(graph: &Graph) -> String {
    let mut text = graph.app.clone();
    if !graph.version.is_empty() {
        put(&mut text, format_args!(" {}", graph.version));
    }
    text.push('\n');
    let services = graph.services.iter().map(|service| {
        let mut row = vec![service.name.to_string()];
        match &service.component {
            Some(facts) => row.extend(component(facts)),
            None => row.push("not known".into()),
        }
        row
    });
    table(&mut text, "Services", services.collect());
    let limits = graph.services.iter().flat_map(|service| {
        let of_instances = service.instances.iter();
        let of_instances = of_instances.map(|(key, value)| (format!("instances.{key}"), value));
        let limits = service.limits.iter();
        let limits = limits.map(|(key, value)| ((*key).to_owned(), value));
        limits
            .chain(of_instances)
            .map(|(key, value)| vec![service.name.to_string(), key, value.clone()])
    });
    table(&mut text, "Limits other than the default", limits.collect());
    let routes = graph.routes.iter().map(|route| {
        let target = match &route.target {
            RouteTarget::Service(service) => service.to_string(),
            RouteTarget::Static(status) => format!("static response {status}"),
        };
        let route = route.route.clone().unwrap_or_else(|| "(private)".into());
        vec![route, format!("→ {target}")]
    });
    table(&mut text, "Routes", routes.collect());
    table(&mut text, "Links", graph.links.iter().map(link).collect());
    let data = graph.data.iter().map(|edge| {
        let scope = match &edge.scope {
            EdgeScope::Service => "its own".into(),
            EdgeScope::App => "shared by the app".into(),
            EdgeScope::File(path) => format!("in {}", path.display()),
        };
        let what = format!("{} `{}`", data_kind(edge.kind), edge.label);
        vec![edge.service.to_string(), what, scope]
    });
    let title = match graph.data_scope {
        DataScope::App => "Data",
        DataScope::PerService => "Data (per service)",
    };
    table(&mut text, title, data.collect());
    let hosts = graph.hosts.iter().map(|edge| {
        let mut row = vec![edge.service.to_string(), format!("→ {}", edge.host)];
        if !edge.chained.is_empty() {
            let names: Vec<&str> = edge.chained.iter().map(|service| service.as_str()).collect();
            row.push(format!("({})", names.join(", ")));
        }
        row
    });
    table(&mut text, "Outbound hosts", hosts.collect());
    text
}

fn component(facts: &ComponentFacts) -> [String; 5] {
    let wasi = match &facts.wasi {
        Some(version) => format!("WASI {version}"),
        None => "no WASI".into(),
    };
    let engine = if facts.concurrent { "concurrent" } else { "plain" };
    let mut uses = facts.capabilities.join(", ");
    if !facts.handler {
        let more = if uses.is_empty() { "" } else { "; " };
        put(&mut uses, format_args!("{more}no HTTP"));
    }
    [facts.digest.short(), size(facts.bytes), wasi, engine.into(), uses]
}

fn link(link: &LinkEdge) -> Vec<String> {
    let callee = match &link.callee {
        LinkCallee::Service(service) => service.to_string(),
        LinkCallee::Component { name, .. } => name.clone(),
    };
    let functions: Vec<String> = link
        .functions
        .iter()
        .map(|function| {
            let kind = if function.is_async { "async " } else { "" };
            format!("{kind}{}", function.name)
        })
        .collect();
    let mut policy = vec![link_kind(link.kind).to_owned()];
    if let Some(timeout) = link.timeout {
        policy.push(format!("timeout {timeout:?}"));
    }
    if let Some(concurrency) = link.concurrency {
        policy.push(format!("{concurrency} at once"));
    }
    vec![
        format!("{} → {callee}", link.caller),
        link.import.clone(),
        functions.join(", "),
        policy.join(", "),
    ]
}

/// The word for a kind of link, in every format.
pub(super) const fn link_kind(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Explicit => "explicit",
        LinkKind::Automatic => "automatic",
        LinkKind::Composed => "composed",
    }
}

/// The word for a kind of data, in every format.
pub(super) const fn data_kind(kind: DataKind) -> &'static str {
    match kind {
        DataKind::KeyValue => "key-value",
        DataKind::Sqlite => "sqlite",
    }
}

/// A number of bytes for people.
pub(in crate::cli) fn size(bytes: usize) -> String {
    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;
    const GIB: usize = 1024 * MIB;
    match bytes {
        0..KIB => format!("{bytes} B"),
        KIB..MIB => format!("{} KiB", bytes / KIB),
        MIB..GIB => format!("{}.{} MiB", bytes / MIB, bytes % MIB * 10 / MIB),
        _ => format!("{}.{} GiB", bytes / GIB, bytes % GIB * 10 / GIB),
    }
}

/// A title and its rows, each column as wide as its widest cell. Nothing if there are no rows.
fn table(text: &mut String, title: &str, rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        return;
    }
    put(text, format_args!("\n{title}\n"));
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            put(&mut line, format_args!("  {cell:width$}"));
        }
        put(text, format_args!("{}\n", line.trim_end()));
    }
}

fn put(text: &mut String, part: std::fmt::Arguments<'_>) {
    let _infallible = text.write_fmt(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1 KiB");
        assert_eq!(size(1024 * 1024), "1.0 MiB");
        assert_eq!(size(1024 * 1024 * 3 / 2), "1.5 MiB");
        assert_eq!(size(4 << 30), "4.0 GiB");
    }

    #[test]
    fn columns_are_aligned_and_lines_end_where_their_text_does() {
        let mut text = String::new();
        let rows = [&["a", "→ b"][..], &["longer"], &["c", "d", "e"]];
        let rows = rows.map(|row| row.iter().map(|&cell| cell.to_owned()).collect());
        table(&mut text, "Title", rows.into());
        assert_eq!(text, "\nTitle\n  a       → b\n  longer\n  c       d    e\n");
        table(&mut text, "Nothing", Vec::new());
        assert!(!text.contains("Nothing"));
    }
}
