//! The app of one fault: the hostile service, an accomplice where the fault needs one, and the neighbour.

use std::net::SocketAddr;
use std::path::Path;

use crate::fault::{Fault, Neighbour};

/// The name of the app.
pub const NAME: &str = "fault-storm";

/// The service that misbehaves.
pub const HOSTILE: &str = "hostile";

/// A second one of its kind.
pub const ACCOMPLICE: &str = "accomplice";

/// The service that is measured.
pub const NEIGHBOUR: &str = "neighbour";

/// The files of the components in the folder of the app.
pub const FILES: [&str; 2] = ["hostile.wasm", "neighbour.wasm"];

/// A file that is mounted where a fault wants one.
pub const FILE: &str = "file";

/// The manifest of a fault. `upstream` is where its guests may connect to.
pub fn manifest(folder: &Path, fault: &Fault, upstream: SocketAddr) -> String {
    let [hostile, neighbour] = FILES.map(|file| folder.join(file));
    let mut text = format!(
        "spin_manifest_version = 2\n\n[application]\nname = {NAME:?}\nversion = \"1.0.0\"\n\n\
         [application.tool.midplane]\ndata = \"per-service\"\n\n"
    );
    for (route, service) in [("/hostile/...", HOSTILE), ("/neighbour/...", NEIGHBOUR)] {
        text += &format!("[[trigger.http]]\nroute = {route:?}\ncomponent = {service:?}\n\n");
    }
    text += &format!("[component.{NEIGHBOUR}]\nsource = {neighbour:?}\n");
    if fault.neighbour == Neighbour::Keys {
        text += "key_value_stores = [\"default\"]\n";
    }
    text += "\n";
    let services: &[&str] = match fault.has_accomplice {
        true => &[HOSTILE, ACCOMPLICE],
        false => &[HOSTILE],
    };
    for service in services {
        let tables = fault
            .tables
            .replace("{service}", service)
            .replace("{other}", if *service == HOSTILE { ACCOMPLICE } else { HOSTILE })
            .replace("{upstream}", &upstream.to_string());
        text += &format!("[component.{service}]\nsource = {hostile:?}\n{tables}\n");
    }
    text
}
