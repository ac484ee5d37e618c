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
            // Each caller has a copy of its own, for all that it imports of it.
            LinkCallee::Component { name, source } => {
                Some(chart.shared('c', ("[[", "]]"), name, &format!("{} {source}", link.caller)))
            }
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
        // One cylinder for each store, so that it is seen who shares one. A file may go by several labels.
        let (name, label, owner) = match &edge.scope {
            EdgeScope::Service => (edge.label.to_string(), "", edge.service.to_string()),
            EdgeScope::App => (edge.label.to_string(), "", String::new()),
            EdgeScope::File(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                let name = name.to_string_lossy().into_owned();
                (name, edge.label.as_str(), path.to_string_lossy().into_owned())
            }
        };
        let what = format!("{} {name}", data_kind(edge.kind));
        let node = chart.shared('d', ("[(", ")]"), &what, &owner);
        if let Some(service) = known(edge.service.as_str()) {
            chart.edge(&service, "---", label, &node);
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
    use std::path::PathBuf;

    use super::*;
    use crate::host::check::{DataEdge, DataKind, LinkEdge, ServiceNode};
    use crate::model::{DataScope, Label, ServiceName};

    fn graph(links: Vec<LinkEdge>, data: Vec<DataEdge>) -> Graph {
        let service = |name| ServiceNode {
            name: ServiceName::parse(name).unwrap(),
            component: None,
            limits: Vec::new(),
            instances: Vec::new(),
        };
        Graph {
            app: "x".into(),
            version: String::new(),
            data_scope: DataScope::App,
            services: vec![service("one"), service("two")],
            routes: Vec::new(),
            links,
            data,
            hosts: Vec::new(),
        }
    }

    fn composed(caller: &str, import: &str, source: &str) -> LinkEdge {
        LinkEdge {
            caller: ServiceName::parse(caller).unwrap(),
            import: import.into(),
            callee: LinkCallee::Component {
                name: "part.wasm".into(),
                source: source.into(),
            },
            kind: LinkKind::Composed,
            functions: Vec::new(),
            timeout: None,
            concurrency: None,
        }
    }

    #[test]
    fn a_part_is_one_node_for_each_caller_that_has_it() {
        let links = vec![
            composed("one", "acme:a/b", "/x/part.wasm"),
            composed("one", "acme:a/c", "/x/part.wasm"),
            composed("one", "acme:a/d", "/y/part.wasm"),
            composed("two", "acme:a/b", "/x/part.wasm"),
        ];
        let text = print(&graph(links, Vec::new()));
        assert_eq!(text.matches("[[\"part.wasm\"]]").count(), 3, "{text}");
        assert!(text.contains("s0 -.->|\"acme:a/b (composed)\"| c2\n"), "{text}");
        assert!(text.contains("s0 -.->|\"acme:a/c (composed)\"| c2\n"), "{text}");
    }

    #[test]
    fn a_file_is_one_node_under_whatever_labels() {
        let edge = |service, label, path| DataEdge {
            service: ServiceName::parse(service).unwrap(),
            kind: DataKind::Sqlite,
            label: Label::parse(label).unwrap(),
            scope: EdgeScope::File(PathBuf::from(path)),
        };
        let data = vec![
            edge("one", "first", "/x/shop.db"),
            edge("two", "second", "/x/shop.db"),
            edge("two", "third", "/y/shop.db"),
        ];
        let text = print(&graph(Vec::new(), data));
        assert_eq!(text.matches("[(\"sqlite shop.db\")]").count(), 2, "{text}");
        for line in [
            "s0 ---|\"first\"| d2",
            "s1 ---|\"second\"| d2",
            "s1 ---|\"third\"| d3",
        ] {
            assert!(text.contains(&format!("    {line}\n")), "{text}");
        }
    }

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
