//! The app of the storm: two pairs of services that are deployed as sets, and services that only manifests change.

use std::fmt::Write as _;
use std::path::Path;

/// The name of the app.
pub const NAME: &str = "swap-storm";

/// The number of every revision that the first manifest has.
pub const FIRST: u32 = 1;

/// The services that the changing route leads to in turn. Each answers with its place here.
const WAYS: [&str; 3] = ["way-a", "way-b", "way-c"];

/// How long a call over the changing link takes, in milliseconds: far more than the short time-out, far less than the long.
pub const PAUSE: u32 = 100;

/// The file of a component of the first manifest.
pub const FILES: [&str; 4] = ["front-p2", "back-p2", "front-p3", "back-p3"];

/// The file that is no component.
pub const TEXT: &str = "text";

/// What manifests change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The value of the variable, and what the others follow from.
    pub number: u32,
}

impl Settings {
    /// To which service the route leads.
    pub fn route(self) -> u32 {
        self.number % WAYS.len() as u32
    }

    /// 0 where the link's time-out is too short for its calls, else 1.
    pub fn limit(self) -> u32 {
        self.number % 2
    }
}

/// What is wrong with a manifest that must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A route leads to a service that there is not.
    Nowhere,
    /// The file of a service is no component: [`TEXT`].
    NotWasm,
    /// A link leads to a service that does not export what is called.
    WrongLink,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nowhere, Self::NotWasm, Self::WrongLink];
}

/// The manifest with these settings, on the components of [`FILES`] in a folder.
pub fn manifest(folder: &Path, settings: Settings, fault: Option<Fault>) -> String {
    let file = |name: &str| folder.join(name).with_extension("wasm");
    let mut text =
        format!("spin_manifest_version = 2\n\n[application]\nname = {NAME:?}\nversion = \"1.0.0\"\n");
    let mut add = |lines: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = text.write_fmt(lines);
    };
    let way = match fault {
        Some(Fault::Nowhere) => "way-nowhere",
        _ => WAYS[settings.route() as usize],
    };
    for (route, service) in [
        ("p2", "front-p2"),
        ("p3", "front-p3"),
        ("setting", "setting"),
        ("way", way),
    ] {
        add(format_args!(
            "\n[[trigger.http]]\nroute = \"/{route}/...\"\ncomponent = {service:?}\n"
        ));
    }
    let timeout = if settings.limit() == 0 { "5ms" } else { "30s" };
    let rest = match fault {
        Some(Fault::WrongLink) => "back-p2",
        _ => "rest",
    };
    let mut services = vec![
        ("front-p2", "front-p2", Some(("plain", "back-p2", "30s"))),
        ("back-p2", "back-p2", None),
        ("front-p3", "front-p3", Some(("waiting", "back-p3", "30s"))),
        ("back-p3", "back-p3", None),
        ("rest", "back-p3", None),
        ("setting", "front-p3", Some(("waiting", rest, timeout))),
    ];
    services.extend(WAYS.map(|way| (way, "front-p3", Some(("waiting", "rest", "30s")))));
    for (service, component, link) in services {
        let source = match (fault, service) {
            (Some(Fault::NotWasm), "rest") => file(TEXT),
            _ => file(component),
        };
        add(format_args!("\n[component.{service}]\nsource = {source:?}\n"));
        if let Some((contract, callee, timeout)) = link {
            add(format_args!(
                "[component.{service}.tool.midplane.links]\n\"storm:contract/{contract}@1.0.0\" = \
                 {{ service = {callee:?}, timeout = {timeout:?}, concurrency = 64 }}\n\
                 [component.{service}.tool.midplane.probe]\npath = \"/healthz\"\nstatus = 200\n"
            ));
        }
        let value = match WAYS.iter().position(|way| *way == service) {
            Some(place) => place.to_string(),
            None if service == "setting" => settings.number.to_string(),
            None => continue,
        };
        add(format_args!(
            "[component.{service}.variables]\nvalue = {value:?}\n"
        ));
    }
    text
}
