//! The app as a Mermaid flowchart (<https://mermaid.js.org/syntax/flowchart.html>), for Markdown pages.
//!
//! The client on the left, routes, services and their links in the middle, data (cylinders) and outbound hosts (hexagons) on
//! the right. Every node has an id of our own and its text in quotation marks, so that no name from a manifest is read as
//! syntax.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::text::{data_kind, link_kind};
use crate::host::check::{EdgeScope, Graph, LinkCallee, LinkKind, RouteTarget};

/// Prints the app.
pub(super) fn print(graph: &Graph) -> String {
    let mut chart = Chart::default();
    let services: BTreeMap<&str, String> = graph
        .services
        .iter()
        .map(|service| {
            let name = service.name.as_str();
            (name, chart.node('s', ("[", "]"), name))
        })
        .collect();
    let known = |name: &str| services.get(name).cloned();
    for route in &graph.routes {
        let Some(path) = &route.route else {
            continue;
        };
        let target = match &route.target {
            RouteTarget::Service(service) => known(service.as_str()),
            RouteTarget::Static(status) => {
                Some(chart.node('t', ("[/", "/]"), &format!("static response {status}")))
            }
        };
        let node = chart.node('r', ("([", "])"), path);
        chart.edge("client", "-->", "", &node);
        if let Some(target) = target {
            chart.edge(&node, "-->", "", &target);
        }
    }
    for link in &graph.links {
        let callee = match &link.callee {
            LinkCallee::Service(service) => known(service.as_str()),
            LinkCallee::Component(component) => Some(chart.node('c', ("[[", "]]"), component)),
        };
        if let (Some(caller), Some(callee)) = (known(link.caller.as_str()), callee) {
            let (arrow, label) = match link.kind {
                LinkKind::Explicit | LinkKind::Automatic => ("==>", link.import.clone()),
                LinkKind::Composed => ("-.->", format!("{} ({})", link.import, link_kind(link.kind))),
            };
            chart.edge(&caller, arrow, &label, &callee);
        }
    }
    for edge in &graph.data {
        let what = format!("{} {}", data_kind(edge.kind), edge.label);
        // One cylinder for each store, so that it is seen who shares one.
        let owner = match &edge.scope {
            EdgeScope::Service => edge.service.to_string(),
            EdgeScope::App | EdgeScope::File(_) => String::new(),
        };
        let node = chart.shared('d', ("[(", ")]"), &what, &owner);
        if let Some(service) = known(edge.service.as_str()) {
            chart.edge(&service, "---", "", &node);
        }
    }
    for edge in &graph.hosts {
        let Some(service) = known(edge.service.as_str()) else {
            continue;
        };
        if edge.chained.is_empty() {
            let node = chart.shared('h', ("{{", "}}"), &edge.host, "");
            chart.edge(&service, "-.->", "", &node);
        }
        for callee in edge.chained.iter().filter_map(|name| known(name.as_str())) {
            chart.edge(&service, "-.->", "HTTP", &callee);
        }
    }
    format!(
        "flowchart LR\n    client([\"client\"])\n{}{}",
        chart.nodes, chart.edges
    )
}

#[derive(Default)]
struct Chart {
    nodes: String,
    edges: String,
    count: usize,
    shared: BTreeMap<(char, String, String), String>,
}

impl Chart {
    /// Adds a node of that shape and gives back its id.
    fn node(&mut self, kind: char, (open, close): (&str, &str), label: &str) -> String {
        let id = format!("{kind}{}", self.count);
        self.count += 1;
        let label = quoted(label);
        let _infallible = writeln!(self.nodes, "    {id}{open}{label}{close}");
        id
    }

    /// The node of that label and owner, which is added when it is first asked for.
    fn shared(&mut self, kind: char, shape: (&str, &str), label: &str, owner: &str) -> String {
        let key = (kind, label.to_owned(), owner.to_owned());
        if let Some(id) = self.shared.get(&key) {
            return id.clone();
        }
        let id = self.node(kind, shape, label);
        self.shared.insert(key, id.clone());
        id
    }

    fn edge(&mut self, from: &str, arrow: &str, label: &str, to: &str) {
        let label = match label {
            "" => String::new(),
            label => format!("|{}|", quoted(label)),
        };
        let _infallible = writeln!(self.edges, "    {from} {arrow}{label} {to}");
    }
}

/// A label in quotation marks, with Mermaid's entities for what would end it, be read as Markdown or be read as HTML.
fn quoted(label: &str) -> String {
    let mut text = String::from("\"");
    for c in label.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '/' | ':' | '.' | ',' | '@' | '-' | '_' | '(' | ')' => {
                text.push(c);
            }
            c if c.is_control() => text.push(' '),
            c if c.is_alphanumeric() => text.push(c),
            c => {
                let _infallible = write!(text, "#{};", u32::from(c));
            }
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_is_read_as_syntax() {
        assert_eq!(
            quoted("shop:catalog/products@1.0.0"),
            "\"shop:catalog/products@1.0.0\""
        );
        assert_eq!(quoted("a\"]; b"), "\"a#34;#93;#59; b\"");
        assert_eq!(quoted("<script>`|\n"), "\"#60;script#62;#96;#124; \"");
        assert_eq!(quoted("#35;"), "\"#35;35#59;\"");
        assert_eq!(quoted("/api/:id/..."), "\"/api/:id/...\"");
    }

    #[test]
    fn a_store_that_is_shared_is_one_node() {
        let mut chart = Chart::default();
        let first = chart.shared('d', ("[(", ")]"), "sqlite default", "");
        assert_eq!(chart.shared('d', ("[(", ")]"), "sqlite default", ""), first);
        assert_ne!(chart.shared('d', ("[(", ")]"), "sqlite default", "orders"), first);
        assert_eq!(chart.nodes.lines().count(), 2);
    }
}
