//! What a guest can import, all of it: in either engine, and nowhere else. What is not in these tables is not linked.

use super::*;

/// The version of WASI 0.2 that is linked; it serves each `@0.2`.
const P2: &str = "0.2.12";
/// The version of WASI 0.3 that is linked.
const P3: &str = "0.3.0";

/// Interfaces of WASI 0.2, in both engines, each with a function or a resource of it. The clocks are `monotonic-clock` and
/// `wall-clock`; the randomness is that of `wasi:random`.
const WASI_P2: [(&str, &str); 29] = [
    ("wasi:cli/environment", "get-environment"),
    ("wasi:cli/exit", "exit"),
    ("wasi:cli/stderr", "get-stderr"),
    ("wasi:cli/stdin", "get-stdin"),
    ("wasi:cli/stdout", "get-stdout"),
    ("wasi:cli/terminal-input", "terminal-input"),
    ("wasi:cli/terminal-output", "terminal-output"),
    ("wasi:cli/terminal-stderr", "get-terminal-stderr"),
    ("wasi:cli/terminal-stdin", "get-terminal-stdin"),
    ("wasi:cli/terminal-stdout", "get-terminal-stdout"),
    ("wasi:clocks/monotonic-clock", "now"),
    ("wasi:clocks/wall-clock", "now"),
    ("wasi:filesystem/preopens", "get-directories"),
    ("wasi:filesystem/types", "descriptor"),
    ("wasi:http/outgoing-handler", "handle"),
    ("wasi:http/types", "fields"),
    ("wasi:io/error", "error"),
    ("wasi:io/poll", "poll"),
    ("wasi:io/streams", "input-stream"),
    ("wasi:random/insecure", "get-insecure-random-u64"),
    ("wasi:random/insecure-seed", "insecure-seed"),
    ("wasi:random/random", "get-random-u64"),
    ("wasi:sockets/instance-network", "instance-network"),
    ("wasi:sockets/ip-name-lookup", "resolve-addresses"),
    ("wasi:sockets/network", "network"),
    ("wasi:sockets/tcp", "tcp-socket"),
    ("wasi:sockets/tcp-create-socket", "create-tcp-socket"),
    ("wasi:sockets/udp", "udp-socket"),
    ("wasi:sockets/udp-create-socket", "create-udp-socket"),
];

/// Interfaces of WASI 0.3, in the engine with component-model async alone.
const WASI_P3: [(&str, &str); 20] = [
    ("wasi:cli/environment", "get-environment"),
    ("wasi:cli/exit", "exit"),
    ("wasi:cli/stderr", "write-via-stream"),
    ("wasi:cli/stdin", "read-via-stream"),
    ("wasi:cli/stdout", "write-via-stream"),
    ("wasi:cli/terminal-input", "terminal-input"),
    ("wasi:cli/terminal-output", "terminal-output"),
    ("wasi:cli/terminal-stderr", "get-terminal-stderr"),
    ("wasi:cli/terminal-stdin", "get-terminal-stdin"),
    ("wasi:cli/terminal-stdout", "get-terminal-stdout"),
    ("wasi:clocks/monotonic-clock", "now"),
    ("wasi:clocks/system-clock", "now"),
    ("wasi:filesystem/preopens", "get-directories"),
    ("wasi:filesystem/types", "descriptor"),
    ("wasi:http/client", "send"),
    ("wasi:http/types", "fields"),
    ("wasi:random/insecure", "get-insecure-random-u64"),
    ("wasi:random/insecure-seed", "get-insecure-seed"),
    ("wasi:random/random", "get-random-u64"),
    ("wasi:sockets/types", "tcp-socket"),
];

/// Spin's interfaces, in both engines.
const SPIN: [(&str, &str); 4] = [
    ("fermyon:spin/key-value@2.0.0", "store"),
    ("fermyon:spin/sqlite@2.0.0", "connection"),
    ("fermyon:spin/variables@2.0.0", "get"),
    ("spin:sqlite/sqlite@3.1.0", "connection"),
];

/// Spin's interfaces with functions that wait, in the engine that can have them.
const SPIN_ASYNC: [(&str, &str); 4] = [
    ("spin:key-value/key-value@3.0.0", "store"),
    ("spin:variables/variables@3.0.0", "get"),
    ("spin:sqlite/sqlite@3.1.0", "[static]connection.open-async"),
    ("wasi:sockets/ip-name-lookup@0.3.0", "resolve-addresses"),
];

/// What other hosts have, and this one has not.
const ABSENT: [(&str, &str); 26] = [
    ("wasi:blobstore/blobstore@0.2.0-draft", "get-container"),
    ("wasi:cli/run@0.2.12", "run"),
    ("wasi:clocks/timezone@0.2.12", "display"),
    ("wasi:clocks/timezone@0.3.0", "iana-id"),
    ("wasi:config/runtime@0.2.0-draft", "get"),
    ("wasi:config/store@0.2.0-rc.1", "get"),
    ("wasi:crypto/symmetric", "symmetric-key-generate"),
    ("wasi:http/incoming-handler@0.2.12", "handle"),
    ("wasi:http/handler@0.3.0", "handle"),
    ("wasi:keyvalue/atomics@0.2.0-draft", "increment"),
    ("wasi:keyvalue/batch@0.2.0-draft", "get-many"),
    ("wasi:keyvalue/store@0.2.0-draft", "open"),
    ("wasi:logging/logging", "log"),
    ("wasi:messaging/messaging-types@0.2.0-draft", "message"),
    ("wasi:nn/graph@0.2.0-rc-2024-10-28", "load"),
    ("wasi:sql/readwrite", "query"),
    ("wasi:threads/threads", "spawn"),
    ("wasi:tls/types@0.2.0-draft", "client-handshake"),
    ("wasi:webgpu/webgpu@0.0.1", "get-gpu"),
    ("wasi_snapshot_preview1", "fd_write"),
    ("fermyon:spin/http", "send-request"),
    ("fermyon:spin/llm@2.0.0", "infer"),
    ("fermyon:spin/mqtt@2.0.0", "connection"),
    ("fermyon:spin/mysql@2.0.0", "connection"),
    ("fermyon:spin/postgres@2.0.0", "connection"),
    ("fermyon:spin/redis@2.0.0", "connection"),
];

/// Whether the engine's guests can import this of the interface.
fn has(half: &Half, interface: &str, name: &str) -> bool {
    let mut linker = half.linker.clone();
    linker.allow_shadowing(false);
    let mut instance = linker.instance(interface).unwrap();
    // What is there cannot be defined a second time.
    instance.func_new(name, |_, _, _, _| Ok(())).is_err()
}

#[test]
fn what_the_tables_say_is_linked_and_nothing_that_other_hosts_have() {
    let bench = Bench::new(1);
    let (plain, concurrent) = (&bench.engines.plain, &bench.engines.concurrent);
    let both = WASI_P2.map(|(interface, name)| (format!("{interface}@{P2}"), name));
    let both = both
        .into_iter()
        .chain(SPIN.map(|(interface, name)| (interface.to_owned(), name)));
    for (interface, name) in both {
        assert!(
            has(plain, &interface, name),
            "{interface}.{name} is not in the plain engine"
        );
        assert!(
            has(concurrent, &interface, name),
            "{interface}.{name} is not in the other engine"
        );
    }
    let waiting = WASI_P3.map(|(interface, name)| (format!("{interface}@{P3}"), name));
    let waiting = waiting
        .into_iter()
        .chain(SPIN_ASYNC.map(|(interface, name)| (interface.to_owned(), name)));
    for (interface, name) in waiting {
        assert!(
            has(concurrent, &interface, name),
            "{interface}.{name} is not linked"
        );
        assert!(
            !has(plain, &interface, name),
            "{interface}.{name} is in the plain engine"
        );
    }
    for (interface, name) in ABSENT {
        assert!(
            !has(plain, interface, name),
            "{interface}.{name} is in the plain engine"
        );
        assert!(!has(concurrent, interface, name), "{interface}.{name} is linked");
    }
}

/// A linker cannot be asked for all that is in it, so what fills it is held instead: the tables above are what these calls link.
#[test]
fn nothing_else_fills_a_linker() {
    let source = include_str!("../guest.rs");
    let links = source
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("to_linker") || line.contains("linker.instance("));
    let links: Vec<&str> = links
        .map(|line| line.split(['(', ':']).next().unwrap_or_default())
        .collect();
    let wasi = ["wasmtime_wasi", "wasmtime_wasi_http"];
    let count = |name: &str| links.iter().filter(|link| **link == name).count();
    assert_eq!(wasi.map(count), [2, 2], "{links:?}");
    assert_eq!([count("fermyon"), count("spin")], [3, 3], "{links:?}");
    // Beside these: relative requests, the client whose calls are known by their requests, and SQLite without `async func`.
    assert_eq!(links.len(), 13, "{links:?}");
    for elsewhere in [
        include_str!("../compile.rs"),
        include_str!("../program.rs"),
        include_str!("../../engine.rs"),
    ] {
        assert!(!elsewhere.contains("to_linker") && !elsewhere.contains("linker.instance("));
    }
}
