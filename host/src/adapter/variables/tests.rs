//! Where values come from, in which order, and what is said when there is none.

use super::*;
use crate::manifest;
use crate::model::ServiceName;

const MANIFEST: &str = r#"
spin_manifest_version = 2
[application]
name = "shop"
[variables]
host = { default = "example.com" }
token = { required = true, secret = true }
greeting = { default = "hello" }
[[trigger.http]]
route = "/"
component = "a"
[component.a]
source = "a.wasm"
allowed_outbound_hosts = ["https://{{ host }}"]
[component.a.variables]
url = "https://{{ host }}/{{ greeting }}"
auth = "Bearer {{ token }}"
fixed = "as it is"
"#;

fn app() -> App {
    manifest::parse(MANIFEST, Path::new("/app/spin.toml")).unwrap()
}

fn map<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    entries
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn fixed<const N: usize>(entries: [(&str, &str); N]) -> VariablesProvider {
    let values = entries.map(|(name, value)| (VariableName::parse(name).unwrap(), Secret::new(value)));
    VariablesProvider::Static {
        values: values.into(),
    }
}

fn env(prefix: Option<&str>, dotenv_path: Option<&Path>) -> VariablesProvider {
    VariablesProvider::Env {
        prefix: prefix.map(str::to_owned),
        dotenv_path: dotenv_path.map(Path::to_owned),
    }
}

/// The value of `greeting`.
fn greeting(
    command_line: &BTreeMap<String, String>,
    providers: &[VariablesProvider],
    environment: &BTreeMap<String, String>,
) -> String {
    let token = fixed([("token", "t")]);
    let providers: Vec<_> = providers.iter().cloned().chain([token]).collect();
    let resolved = resolve(&app(), command_line, &providers, |name| {
        environment.get(name).cloned()
    })
    .unwrap();
    resolved
        .resolve_template(&Template::parse("{{ greeting }}").unwrap())
        .unwrap()
}

#[test]
fn the_command_line_wins_then_providers_in_order_then_the_environment_then_the_default() {
    let none = BTreeMap::new();
    let environment = map([("SPIN_VARIABLE_GREETING", "environment")]);
    let first = fixed([("greeting", "first")]);
    let second = fixed([("greeting", "second")]);
    let providers = [first.clone(), second.clone()];
    assert_eq!(
        greeting(&map([("greeting", "line")]), &providers, &environment),
        "line"
    );
    assert_eq!(greeting(&none, &providers, &environment), "first");
    assert_eq!(greeting(&none, &[second, first], &environment), "second");
    assert_eq!(greeting(&none, &[], &environment), "environment");
    assert_eq!(greeting(&none, &[], &none), "hello");
}

#[test]
fn a_value_may_be_empty() {
    assert_eq!(greeting(&map([("greeting", "")]), &[], &BTreeMap::new()), "");
    assert_eq!(
        greeting(&BTreeMap::new(), &[], &map([("SPIN_VARIABLE_GREETING", "")])),
        ""
    );
}

#[test]
fn an_env_provider_reads_its_prefix_and_its_file_after_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(".env");
    std::fs::write(
        &file,
        "# a comment\nSHOP_GREETING=\"from the file\"\nexport SPIN_VARIABLE_GREETING='usual prefix'\n",
    )
    .unwrap();
    let none = BTreeMap::new();
    let shop = [env(Some("SHOP"), Some(&file))];
    let set = map([("SHOP_GREETING", "set"), ("SPIN_VARIABLE_GREETING", "usual")]);
    assert_eq!(greeting(&none, &shop, &set), "set");
    assert_eq!(greeting(&none, &shop, &none), "from the file");
    assert_eq!(greeting(&none, &[env(None, Some(&file))], &none), "usual prefix");
    assert_eq!(greeting(&none, &[env(Some("OTHER"), Some(&file))], &set), "usual");
}

#[test]
fn all_required_variables_without_a_value_are_named_with_the_ways_to_give_one() {
    let error = resolve(&app(), &BTreeMap::new(), &[], |_| None).unwrap_err();
    assert_eq!(error.to_string(), "no value for the variable `token`");
    let hint = error.hint().unwrap();
    for way in [
        "--variable token=",
        "SPIN_VARIABLE_TOKEN=",
        "[[variables_provider]]",
    ] {
        assert!(hint.contains(way), "{hint}");
    }
    let two = MANIFEST.replace(
        "host = { default = \"example.com\" }",
        "host = { required = true }",
    );
    let two = manifest::parse(&two, Path::new("/app/spin.toml")).unwrap();
    let error = resolve(&two, &BTreeMap::new(), &[], |_| None).unwrap_err();
    assert_eq!(error.to_string(), "no value for the variables `host`, `token`");
}

#[test]
fn a_name_that_the_app_does_not_have_is_refused_on_the_command_line_alone() {
    let line = map([("greting", "hunter2"), ("token", "t")]);
    let error = resolve(&app(), &line, &[], |_| None).unwrap_err();
    assert_eq!(error.to_string(), "the app has no variable `greting`");
    assert_eq!(error.hint().unwrap(), "did you mean `greeting`?");
    assert!(!format!("{error:?}").contains("hunter2"));
    // A provider may serve several apps.
    assert!(
        resolve(
            &app(),
            &map([("token", "t")]),
            &[fixed([("unknown", "x")])],
            |_| None
        )
        .is_ok()
    );
}

#[test]
fn a_service_sees_its_templates_with_values() {
    let app = app();
    let resolved = resolve(
        &app,
        &map([("token", "hunter2"), ("host", "h.test")]),
        &[],
        |_| None,
    )
    .unwrap();
    let service = &app.services[&ServiceName::parse("a").unwrap()];
    let seen = resolved.service_variables(service).unwrap();
    let seen: Vec<_> = seen
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose()))
        .collect();
    assert_eq!(
        seen,
        [
            ("auth", "Bearer hunter2"),
            ("fixed", "as it is"),
            ("url", "https://h.test/hello")
        ]
    );
    let host = &service.allowed_outbound_hosts[0].template;
    assert_eq!(resolved.resolve_template(host).unwrap(), "https://h.test");
    assert!(resolved.is_secret(&service.variables["auth"]));
    assert!(!resolved.is_secret(&service.variables["url"]));
    assert!(!resolved.is_secret(&service.variables["fixed"]));
    assert!(!format!("{resolved:?}").contains("hunter2"));
    let foreign = Template::parse("{{ foreign }}").unwrap();
    assert_eq!(
        resolved.resolve_template(&foreign).unwrap_err().name.as_str(),
        "foreign"
    );
}

#[test]
fn an_argument_gives_a_value_or_names_a_file_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "hunter2\n").unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(parse_variable_argument("a=b=c").unwrap(), pair("a", "b=c"));
    assert_eq!(parse_variable_argument("a=").unwrap(), pair("a", ""));
    let argument = format!("a=@{}", file.display());
    assert_eq!(
        parse_variable_argument(&argument).unwrap(),
        pair("a", "hunter2\n")
    );
    assert!(matches!(
        parse_variable_argument("hunter2"),
        Err(VariablesError::Argument)
    ));
    assert!(
        matches!(parse_variable_argument("A-b=c"), Err(VariablesError::Name { name, .. }) if name == "A-b")
    );
    let missing = format!("a=@{}", dir.path().join("nope").display());
    let error = parse_variable_argument(&missing).unwrap_err();
    assert!(matches!(error, VariablesError::Read { .. }), "{error}");
}

#[test]
fn a_file_that_gives_no_values_is_refused_without_its_text() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(".env");
    let failure = |content: &[u8]| {
        std::fs::write(&file, content).unwrap();
        resolve(&app(), &map([("token", "t")]), &[env(None, Some(&file))], |_| {
            None
        })
        .unwrap_err()
    };
    let error = failure(b"A=1\n\n# c\nhunter2 is here\n");
    assert!(
        matches!(error, VariablesError::Dotenv { line: Some(4), .. }),
        "{error:?}"
    );
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    let error = failure(b"A=hunter2\xff");
    assert!(matches!(error, VariablesError::NotUtf8 { .. }), "{error:?}");
    let error = failure(&vec![b'\n'; MAX_FILE_BYTES + 1]);
    assert!(matches!(error, VariablesError::TooLarge { .. }), "{error:?}");
    std::fs::remove_file(&file).unwrap();
    let gone = resolve(&app(), &map([("token", "t")]), &[env(None, Some(&file))], |_| {
        None
    })
    .unwrap_err();
    assert!(matches!(gone, VariablesError::Read { .. }), "{gone:?}");
}
