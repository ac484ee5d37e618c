//! What a dependency does not inherit does not reach the host, and the guest reads the interface's own refusal.

use std::sync::atomic::Ordering;

use super::super::*;
use super::support::{Running, interface, interface_of, passing_on, prober};
use crate::model::Inheritable;

/// The packages of Spin, as they stand in the repository.
const SPIN: [&str; 4] = [
    include_str!("../../../../wit/host/deps/fermyon-spin-2.0.0/spin.wit"),
    include_str!("../../../../wit/host/deps/spin-key-value-3.0.0/key-value.wit"),
    include_str!("../../../../wit/host/deps/spin-sqlite-3.1.0/sqlite.wit"),
    include_str!("../../../../wit/host/deps/spin-variables-3.0.0/variables.wit"),
];

/// Those interfaces of others that are denied, and what they have types of, in short.
const OTHERS: &str = "
package wasi:cli@0.2.0 { interface environment {
    get-environment: func() -> list<tuple<string, string>>;
    get-arguments: func() -> list<string>;
    initial-cwd: func() -> option<string>;
} }
package wasi:filesystem@0.2.0 {
    interface types { resource descriptor { constructor(); } }
    interface preopens { use types.{descriptor}; get-directories: func() -> list<tuple<descriptor, string>>; }
}
package wasi:http@0.2.0 {
    interface types {
        resource outgoing-request { constructor(); }
        resource request-options { constructor(); }
        resource future-incoming-response;
        variant error-code { DNS-timeout, HTTP-request-denied, internal-error(option<string>) }
    }
    interface outgoing-handler {
        use types.{outgoing-request, request-options, future-incoming-response, error-code};
        handle: func(request: outgoing-request, options: option<request-options>)
            -> result<future-incoming-response, error-code>;
    }
}
package wasi:http@0.3.0 {
    interface types {
        resource request { constructor(); }
        resource response;
        variant error-code { DNS-timeout, HTTP-request-denied, internal-error(option<string>) }
    }
    interface client {
        use types.{request, response, error-code};
        send: async func(request: request) -> result<response, error-code>;
    }
}
package wasi:sockets@0.2.0 {
    interface network {
        resource network { constructor(); }
        enum error-code { unknown, access-denied, not-supported }
        enum ip-address-family { ipv4, ipv6 }
    }
    interface tcp { resource tcp-socket; }
    interface tcp-create-socket {
        use network.{error-code, ip-address-family};
        use tcp.{tcp-socket};
        create-tcp-socket: func(family: ip-address-family) -> result<tcp-socket, error-code>;
    }
    interface ip-name-lookup {
        use network.{network, error-code};
        resource resolve-address-stream { resolve-next-address: func() -> result<option<u32>, error-code>; }
        resolve-addresses: func(network: borrow<network>, name: string)
            -> result<resolve-address-stream, error-code>;
    }
}
package wasi:sockets@0.3.0 {
    interface types {
        variant error-code { access-denied, other(option<string>) }
        enum ip-address-family { ipv4, ipv6 }
        resource tcp-socket {
            create: static func(family: ip-address-family) -> result<tcp-socket, error-code>;
            listen: func() -> result<stream<tcp-socket>, error-code>;
            send: func(data: stream<u8>) -> future<result<_, error-code>>;
        }
    }
    interface ip-name-lookup {
        variant error-code { name-unresolvable, access-denied, other(option<string>) }
        resolve-addresses: async func(name: string) -> result<list<u32>, error-code>;
    }
}
package wasi:config@0.2.0-draft-2024-09-27 { interface store {
    variant error { upstream(string), io(string) }
    get: func(key: string) -> result<option<string>, error>;
    get-all: func() -> result<list<tuple<string, string>>, error>;
} }
package wasi:new@0.2.0 { interface thing {
    resource maker { constructor(); make: func(scale: f64) -> result<u64, string>; }
    variant why { passed(stream<u8>), no(tuple<u8, string>) }
    counts: func() -> tuple<u8, f64, s64, char, bool>;
    size: func() -> u64;
    ratio: func() -> f32;
    ready: func() -> bool;
    flows: func() -> stream<u8>;
    reads: func(source: maker) -> result<u8, why>;
    log: func(text: string, many: list<string>);
} }";

fn wit() -> String {
    let spin = SPIN.iter().map(|text| {
        let (head, body) = text.split_once(';').unwrap();
        format!("{head} {{ {body} }}")
    });
    spin.chain([OTHERS.to_owned()]).collect()
}

fn part(calls: &[&str], inherit: Inherit) -> Part {
    Part {
        name: DependencyName::Package {
            package: "test:probe".into(),
            version: None,
        },
        bytes: prober(&wit(), calls),
        export: None,
        inherit,
    }
}

fn composed(calls: &[&str], inherit: Inherit) -> Composition<'static> {
    let main: &'static [u8] = passing_on().leak();
    compose(main, &[part(calls, inherit)], &|_| false).unwrap()
}

/// What the dependency reads when it calls `call` and inherits nothing; the host has not been called.
async fn denied(call: &str) -> Vec<u8> {
    let composition = composed(&[call], Inherit::Nothing);
    let denied = interface_of(call);
    assert_eq!(
        composition
            .denied
            .iter()
            .map(|denied| denied.import.as_str())
            .collect::<Vec<_>>(),
        [denied]
    );
    assert!(!interface(&composition.bytes).0.contains(&denied.to_owned()));
    let mut running = Running::start(&composition.bytes).await;
    let read = running.probe(0).await.unwrap();
    assert_eq!(running.reached.lock().as_slice(), [""; 0], "{call}");
    read
}

/// `result` whose error is the case `case`: without payloads, that is the second byte; with them, the fifth.
async fn assert_refused(call: &str, at: usize, case: u8) {
    let read = denied(call).await;
    assert_eq!((read[0], read[at]), (1, case), "{call}: {read:?}");
}

#[tokio::test]
async fn the_stores_of_spin_answer_access_denied() {
    for (call, case) in [
        ("fermyon:spin/key-value@2.0.0#[static]store.open", 2),
        ("spin:key-value/key-value@3.0.0#[static]store.open", 2),
        ("fermyon:spin/sqlite@2.0.0#[static]connection.open", 1),
        ("spin:sqlite/sqlite@3.1.0#[static]connection.open", 1),
        ("spin:sqlite/sqlite@3.1.0#[static]connection.open-async", 1),
    ] {
        assert_refused(call, 4, case).await;
    }
}

#[tokio::test]
async fn a_call_that_could_wait_is_over_at_once() {
    /// The state of a call that has returned.
    const RETURNED: u8 = 2;
    for (call, case) in [
        ("async spin:key-value/key-value@3.0.0#[static]store.open", 2),
        ("async spin:sqlite/sqlite@3.1.0#[static]connection.open-async", 1),
        ("async spin:variables/variables@3.0.0#get", 1),
        ("async wasi:http/client@0.3.0#send", 1),
    ] {
        let read = denied(call).await;
        assert_eq!(
            (read[0], read[4], read[63]),
            (1, case, RETURNED),
            "{call}: {read:?}"
        );
    }
}

#[tokio::test]
async fn a_variable_is_undefined_and_the_reason_is_told() {
    let text = "access denied: this dependency does not inherit `variables` (`inherit_configuration`)";
    for call in [
        "fermyon:spin/variables@2.0.0#get",
        "spin:variables/variables@3.0.0#get",
    ] {
        let read = denied(call).await;
        assert_eq!((read[0], read[4]), (1, 1), "{call}");
        assert_eq!(usize::from(read[12]), text.len(), "{call}");
    }
    // `result<option<string>, error>`: ok, and nothing there.
    let read = denied("wasi:config/store@0.2.0-draft-2024-09-27#get").await;
    assert_eq!((read[0], read[4]), (0, 0));
    let read = denied("wasi:config/store@0.2.0-draft-2024-09-27#get-all").await;
    assert_eq!((read[0], &read[8..12]), (0, &[0; 4][..]));
}

#[tokio::test]
async fn environment_and_directories_are_empty() {
    for call in [
        "wasi:cli/environment@0.2.0#get-environment",
        "wasi:cli/environment@0.2.0#get-arguments",
        "wasi:filesystem/preopens@0.2.0#get-directories",
    ] {
        assert_eq!(
            denied(call).await[4..8],
            [0; 4],
            "the length of what {call} gives"
        );
    }
    assert_eq!(denied("wasi:cli/environment@0.2.0#initial-cwd").await, [0; 64]);
}

#[tokio::test]
async fn outbound_http_answers_request_denied_and_keeps_no_handle() {
    assert_refused("wasi:http/client@0.3.0#send", 4, 1).await;
    let call = "wasi:http/outgoing-handler@0.2.0#handle";
    assert_refused(call, 4, 1).await;
    let mut running = Running::start(&composed(&[call], Inherit::Nothing).bytes).await;
    for _ in 0..10 {
        running.probe(0).await.unwrap();
    }
    assert_eq!(
        running.resources.load(Ordering::SeqCst),
        0,
        "requests and their options"
    );
}

#[tokio::test]
async fn sockets_and_names_answer_access_denied() {
    assert_refused("wasi:sockets/tcp-create-socket@0.2.0#create-tcp-socket", 4, 1).await;
    // The borrowed network is given back, or the call would trap.
    assert_refused("wasi:sockets/ip-name-lookup@0.2.0#resolve-addresses", 4, 1).await;
    assert_refused("wasi:sockets/types@0.3.0#[static]tcp-socket.create", 4, 0).await;
    assert_refused("wasi:sockets/ip-name-lookup@0.3.0#resolve-addresses", 4, 1).await;
}

#[tokio::test]
async fn an_interface_that_nobody_knows_is_denied_in_general() {
    let name = |function: &str| format!("wasi:new/thing@0.2.0#{function}");
    for function in ["counts", "size", "ratio", "ready", "log"] {
        assert_eq!(denied(&name(function)).await, [0; 64], "{function}");
    }
    // The first case of `why` would need a stream. The own resource that is passed was made by the denial.
    let read = denied(&name("reads")).await;
    assert_eq!((read[0], read[4]), (1, 1));
    // `result<u64, string>`: the text stands at the offset of the payload.
    let read = denied(&name("[method]maker.make")).await;
    assert_eq!((read[0], read[12] > 40), (1, true));

    let composition = composed(&[&name("flows")], Inherit::Nothing);
    let mut running = Running::start(&composition.bytes).await;
    let trap = format!("{:?}", running.probe(0).await.unwrap_err());
    assert!(trap.contains("unreachable"), "{trap}");
}

#[tokio::test]
async fn what_is_inherited_reaches_the_host_and_nothing_else_does() {
    let calls = [
        "fermyon:spin/key-value@2.0.0#[static]store.open",
        "fermyon:spin/variables@2.0.0#get",
        "wasi:new/thing@0.2.0#size",
    ];
    let interfaces = calls.map(|call| interface_of(call).to_owned());
    let some = |grants: &[Inheritable]| Inherit::Some(grants.iter().copied().collect());
    for (inherit, reached) in [
        (Inherit::Nothing, &[][..]),
        (some(&[]), &[]),
        (some(&[Inheritable::Variables]), &[1]),
        (
            some(&[Inheritable::KeyValueStores, Inheritable::Variables]),
            &[0, 1],
        ),
        (some(&Inheritable::ALL), &[0, 1]),
        (Inherit::All, &[0, 1, 2]),
    ] {
        let composition = composed(&calls, inherit.clone());
        for (which, call) in calls.iter().enumerate() {
            let mut running = Running::start(&composition.bytes).await;
            let answer = running.probe(u32::try_from(which).unwrap()).await;
            let is_let_through = reached.contains(&which);
            assert_eq!(answer.is_err(), is_let_through, "{call} with {inherit:?}");
            let called: Vec<String> = running.reached.lock().clone();
            assert_eq!(
                called,
                if is_let_through {
                    vec![(*call).to_owned()]
                } else {
                    vec![]
                }
            );
            let is_imported = interface(&composition.bytes).0.contains(&interfaces[which]);
            assert_eq!(is_imported, is_let_through, "{call} with {inherit:?}");
        }
    }
}
