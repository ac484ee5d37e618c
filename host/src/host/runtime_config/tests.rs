//! What the file may say, what it may not, and how that is told.

use std::time::Duration;

use super::*;
use crate::adapter::sqlite::Synchronous;
use crate::model::{Secret, VariableName};

fn config(text: &str) -> RuntimeConfig {
    parse(text, Path::new("runtime.toml"), Path::new("/conf")).unwrap_or_else(|error| panic!("{error}"))
}

/// All that is shown for `text`.
fn refusal(text: &str) -> String {
    match parse(text, Path::new("runtime.toml"), Path::new("/conf")) {
        Ok(config) => panic!("{text:?} is accepted: {config:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(config(""), RuntimeConfig::default());
    assert_eq!(
        config("[midplane]\n[outbound_http]\n[midplane.sqlite]"),
        RuntimeConfig::default()
    );
    let default = RuntimeConfig::default();
    assert!(default.outbound_http.connection_pooling);
    assert!(default.block_networks.is_empty());
}

#[test]
fn every_key_arrives() {
    let config = config(
        r#"
        state_dir = "state"
        max_instance_memory = "64MiB"

        [[variables_provider]]
        type = "static"
        values = { greeting = "hello" }

        [[variables_provider]]
        type = "env"
        prefix = "SHOP"
        dotenv_path = "../.env"

        [[variables_provider]]
        type = "env"

        [key_value_store.default]
        type = "spin"
        path = "kv/default.db"

        [sqlite_database]
        orders = { type = "spin", path = "/data/orders.db" }

        [outbound_networking]
        block_networks = ["private", "1.1.1.1", "2606:4700::/32"]

        [outbound_http]
        connection_pooling = false
        max_connections = 7

        [midplane]
        max_instances = 1_000
        resident_memory = "16MiB"

        [midplane.sqlite]
        synchronous = "normal"
        busy_timeout = "250ms"
        max_database_size = "1GiB"
        max_value_size = 4096
        max_connections = 4
        max_idle_connections = 2
        cache_size = "1MiB"
        wal_size_kept = "2MiB"
        reader_timeout = "1m"
        key_value_timeout = "3s"
        "#,
    );
    let greeting = VariableName::parse("greeting").unwrap();
    let blocked = BlockedNetworks::parse(["private", "1.1.1.1", "2606:4700::/32"]).unwrap();
    let expected = RuntimeConfig {
        state_dir: Some("/conf/state".into()),
        max_instance_memory: Some(64 << 20),
        variables_providers: vec![
            VariablesProvider::Static {
                values: BTreeMap::from([(greeting, Secret::new("hello"))]),
            },
            VariablesProvider::Env {
                prefix: Some("SHOP".to_owned()),
                dotenv_path: Some("/conf/../.env".into()),
            },
            VariablesProvider::Env {
                prefix: None,
                dotenv_path: None,
            },
        ],
        key_value_stores: BTreeMap::from([(
            Label::parse("default").unwrap(),
            KeyValueBackend::Spin {
                path: "/conf/kv/default.db".into(),
            },
        )]),
        sqlite_databases: BTreeMap::from([(
            Label::parse("orders").unwrap(),
            SqliteBackend::Spin {
                path: "/data/orders.db".into(),
            },
        )]),
        block_networks: blocked,
        outbound_http: OutboundHttp {
            connection_pooling: false,
            max_connections: Some(7),
        },
        midplane: MidplaneConfig {
            max_instances: Some(1_000),
            resident_memory: Some(16 << 20),
            sqlite: SqliteSettings {
                synchronous: Synchronous::Normal,
                busy_timeout: Duration::from_millis(250),
                max_database_bytes: 1 << 30,
                max_value_bytes: 4096,
                max_connections: 4,
                max_idle_connections: 2,
                cache_bytes: 1 << 20,
                wal_bytes_kept: 2 << 20,
                reader_timeout: Duration::from_mins(1),
                key_value_timeout: Duration::from_secs(3),
            },
        },
    };
    assert_eq!(config, expected);
}

#[test]
fn sizes_may_be_plain_numbers_and_fewer_connections_keep_fewer_idle() {
    assert_eq!(
        config("max_instance_memory = 10_000_000").max_instance_memory,
        Some(10_000_000)
    );
    let sqlite = config("midplane.sqlite.max_connections = 3").midplane.sqlite;
    assert_eq!((sqlite.max_connections, sqlite.max_idle_connections), (3, 3));
}

#[test]
fn a_fault_shows_place_line_caret_and_hint() {
    assert_eq!(
        refusal("state_dir = \"x\"\n\n[outbound_http]\n  max_conections = 5\n"),
        "runtime.toml:4:3: unknown key `max_conections` in `outbound_http`\n  |\n\
         4 |   max_conections = …\n  |   ^^^^^^^^^^^^^^\nhint: did you mean `max_connections`?"
    );
    assert_eq!(
        refusal("max_instance_memory = \"64MB\"  # as text"),
        "runtime.toml:1:23: `max_instance_memory` is not valid: its unit is none of B, KiB, MiB, GiB, TiB\n  |\n\
         1 | max_instance_memory = \"64MB\"  # as text\n  |                       ^^^^^^\n\
         hint: a size is written as in `\"64MiB\"`"
    );
}

#[test]
fn what_is_wrong_is_refused() {
    for (text, place, message, hint) in [
        (
            "x = 1",
            "1:1",
            "unknown key `x` in the runtime configuration",
            "known keys: `state_dir`",
        ),
        (
            "state_dir = 5",
            "1:13",
            "`state_dir`: expected a string, found the integer 5",
            "",
        ),
        (
            "state_dir = \"\"",
            "1:13",
            "it is empty",
            "directory of this file",
        ),
        ("a = [", "1:", "not valid TOML", ""),
        (
            "state_dir = \"a\"\nstate_dir = \"b\"",
            "2:1",
            "not valid TOML: duplicate key",
            "",
        ),
        ("max_instance_memory = 0", "1:23", "it is 0", "leave the key out"),
        ("max_instance_memory = -1", "1:23", "expected a size", ""),
        ("max_instance_memory = \"1\"", "1:23", "it has no unit", ""),
        ("variables_provider = 1", "1:22", "expected a list", ""),
        (
            "[variables_provider]\ntype = \"env\"",
            "1:1",
            "expected a list",
            "",
        ),
        (
            "[[variables_provider]]",
            "1:1",
            "needs the key `type`",
            "type = \"env\"",
        ),
        (
            "[[variables_provider]]\ntype = \"envv\"",
            "2:8",
            "there is no \"envv\"",
            "`static`, `env`",
        ),
        (
            "[[variables_provider]]\ntype = \"static\"",
            "1:1",
            "needs the key `values`",
            "",
        ),
        (
            "[[variables_provider]]\ntype = \"env\"\nvalues = {}",
            "3:1",
            "unknown key `values`",
            "`prefix`",
        ),
        (
            "[[variables_provider]]\ntype = \"env\"\nprefix = \"A=B\"",
            "3:10",
            "no `=`",
            "",
        ),
        (
            "[key_value_store.a_b-c]\ntype = \"spin\"",
            "1:18",
            "the label \"a_b-c\"",
            "",
        ),
        (
            "[key_value_store.a]\ntype = \"file\"",
            "2:8",
            "there is no \"file\"",
            "known types: `spin`",
        ),
        (
            "[key_value_store.a]\ntype = \"spin\"\npaht = \"x\"",
            "3:1",
            "unknown key `paht`",
            "`path`",
        ),
        (
            "[key_value_store.a]\ntype = \"spin\"\npath = \"\\u0000\"",
            "3:8",
            "NUL",
            "",
        ),
        (
            "[outbound_networking]\nblock_networks = [\"public\"]",
            "2:19",
            "\"public\" is no network",
            "`private`",
        ),
        (
            "[outbound_networking]\nblock_networks = \"private\"",
            "2:18",
            "expected a list",
            "",
        ),
        (
            "[outbound_http]\nmax_connections = 0",
            "2:19",
            "an integer of at least 1",
            "",
        ),
        (
            "[outbound_http]\nconnection_pooling = \"no\"",
            "2:22",
            "expected a boolean",
            "",
        ),
        (
            "[midplane]\nmax_instances = 4_294_967_296",
            "2:17",
            "an integer of at least 1",
            "",
        ),
        (
            "[midplane.sqlite]\nsynchronous = \"off\"",
            "2:15",
            "there is no \"off\"",
            "`\"full\"`",
        ),
        (
            "[midplane.sqlite]\nbusy_timeout = 5",
            "2:16",
            "a time as text",
            "",
        ),
        ("[midplane.sqlite]\nbusy_timeout = \"0s\"", "2:16", "it is 0", ""),
        (
            "[midplane.sqlite]\nbusy_timeot = \"5s\"",
            "2:1",
            "unknown key `busy_timeot`",
            "`busy_timeout`",
        ),
        (
            "[midplane.sqlite]\nmax_connections = 2\nmax_idle_connections = 3",
            "1:1",
            "`max_idle_connections` is 3, more than the 2",
            "",
        ),
    ] {
        let shown = refusal(text);
        assert!(
            shown.starts_with(&format!("runtime.toml:{place}")),
            "{text}\n{shown}"
        );
        assert!(shown.contains(message), "{text}\n{shown}");
        assert!(shown.contains(hint), "{text}\n{shown}");
        assert!(shown.contains('^'), "{text}\n{shown}");
    }
}

#[test]
fn what_spin_has_and_this_version_has_not_is_refused_by_name() {
    for (text, what) in [
        ("log_dir = \"logs\"", "`log_dir`"),
        ("[[client_tls]]\nhosts = [\"a\"]", "`client_tls`"),
        ("[[config_provider]]\ntype = \"env\"", "`config_provider`"),
        ("[llm_compute]\ntype = \"spin\"", "`llm_compute`"),
        (
            "[[variables_provider]]\ntype = \"vault\"\ntoken = \"hunter2\"",
            "the variables provider `vault`",
        ),
        (
            "[key_value_store.a]\ntype = \"redis\"\nurl = \"redis://:hunter2@h\"",
            "a key-value store of type `redis`",
        ),
        (
            "key_value_store.a = { url = \"hunter2\", type = \"redis\" }",
            "a key-value store of type `redis`",
        ),
        (
            "[key_value_store.a]\ntype = \"spin\"",
            "a key-value store in memory",
        ),
        (
            "[sqlite_database.a]\ntype = \"libsql\"\ntoken = \"hunter2\"",
            "a database of type `libsql`",
        ),
        ("[sqlite_database.a]\ntype = \"spin\"", "a database in memory"),
    ] {
        let shown = refusal(text);
        assert!(shown.contains(what), "{shown}");
        assert!(shown.contains("not supported yet"), "{shown}");
        assert!(shown.contains("\nhint: "), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn no_fault_shows_a_value_that_may_be_secret() {
    const HEAD: &str = "[[variables_provider]]\ntype = \"static\"\n";
    for text in [
        "values = { pin = 4711 }",
        "values = { pin = [\"4711\"] }",
        "values = { a = \"4711\", b = true }",
        "values = { Bad = \"4711\" }",
        "values = { a = \"4711\", a = \"x\" }",
        "values = { a = \"x\" }\nvlues = { b = 4711 }",
        "values = { a = 4711x }",
        "values = { a = \"4711 }",
        "values = { a = \"\"\"\n4711\\x\"\"\" }",
        "[variables_provider.values]\na = 4711",
        "[variables_provider.values]\na = '''\n4711",
        "values = \"4711\"\nx = 1",
        "values = 4711",
    ] {
        let shown = refusal(&format!("{HEAD}{text}"));
        assert!(!shown.contains("4711"), "{text}\n{shown}");
        assert!(shown.contains('^'), "{text}\n{shown}");
    }
    let config = config(&format!("{HEAD}values = {{ pin = \"4711\" }}"));
    assert!(!format!("{config:?}").contains("4711"));
}

#[test]
fn a_long_line_is_shown_around_the_fault_and_drives_no_terminal() {
    let text = format!(
        "sqlite_database.a = {{ type = \"spin\", path = \"{}\", x\u{e9}\u{7f} = 1 }}",
        "p".repeat(5_000)
    );
    for text in [
        text,
        format!("state_dir = [\"{}\"]", "\u{1b}\u{e9}".repeat(5_000)),
    ] {
        let shown = refusal(&text);
        assert!(shown.lines().all(|line| line.chars().count() < 300), "{shown}");
        assert!(!shown.contains(['\u{1b}', '\u{7f}']), "{shown:?}");
    }
}

#[test]
fn a_file_is_read_with_paths_from_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("runtime.toml");
    std::fs::write(&file, "state_dir = \"state\"").unwrap();
    let config = RuntimeConfig::load(&file).unwrap();
    assert_eq!(config.state_dir, Some(dir.path().join("state")));
}

#[test]
fn a_file_that_is_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("runtime.toml");
    let error = RuntimeConfig::load(&file).unwrap_err();
    assert!(matches!(error, RuntimeConfigError::Read { .. }), "{error}");
    std::fs::write(&file, b"# \xff").unwrap();
    let error = RuntimeConfig::load(&file).unwrap_err();
    assert!(
        matches!(error, RuntimeConfigError::NotUtf8 { offset: 2, .. }),
        "{error}"
    );
    std::fs::write(&file, vec![b'\n'; MAX_BYTES]).unwrap();
    assert_eq!(RuntimeConfig::load(&file).unwrap(), RuntimeConfig::default());
    std::fs::write(&file, vec![b'\n'; MAX_BYTES + 1]).unwrap();
    let error = RuntimeConfig::load(&file).unwrap_err();
    assert!(matches!(error, RuntimeConfigError::TooLarge { .. }), "{error}");
    std::fs::write(&file, "y = 1").unwrap();
    let error = RuntimeConfig::load(&file).unwrap_err();
    assert!(matches!(error, RuntimeConfigError::Invalid(_)), "{error}");
}
