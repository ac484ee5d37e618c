//! What `README.md` lists, held against what there is: commands and options, metrics, variables, keys, limits.

use std::fs;

use super::{readme, root};
use crate::harness::Finished;

#[tokio::test]
async fn the_commands_and_options_of_the_page_are_those_of_the_binary() {
    let folder = tempfile::tempdir().unwrap();
    let page = readme();
    let help = Finished::of(&["--help"], folder.path()).await.stdout;
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .map_while(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() >= 14, "{help}");
    for command in commands {
        assert!(
            page.contains(&format!("| `midplane {command}")),
            "README.md has no row for `midplane {command}`"
        );
        let help = Finished::of(&[command, "--help"], folder.path()).await.stdout;
        let is_flag = |word: &&str| word.starts_with("--") && word.len() > 2;
        let options: Vec<&str> = help
            .split_whitespace()
            .filter(is_flag)
            .map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-'))
            .filter(|word| *word != "--help" && *word != "--file")
            .collect();
        assert!(options.len() >= 4, "{help}");
        for option in options {
            assert!(
                page.contains(option),
                "README.md does not name {option} of {command}"
            );
        }
    }
}

/// What stands in a table at the head of a source, in the first column, in backticks.
fn first_column(source: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("host/src").join(source)).expect("the source is there");
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells
        .flat_map(|cell| cell.split(", "))
        .map(|name| name.trim_matches('`').to_owned())
        .collect()
}

#[test]
fn the_metrics_and_the_variables_of_tracing_are_on_the_page() {
    let page = readme();
    let metrics = first_column("telemetry/metrics.rs");
    assert!(metrics.len() > 20, "{metrics:?}");
    for metric in metrics {
        assert!(
            page.contains(&format!("`{metric}`")),
            "README.md does not name {metric}"
        );
    }
    let variables = first_column("telemetry/trace/settings.rs");
    assert!(variables.len() > 12, "{variables:?}");
    for variable in variables {
        // `OTEL_EXPORTER_OTLP_TRACES_…` and `OTEL_EXPORTER_OTLP_…` are told by what differs.
        let short = variable
            .strip_prefix("OTEL_EXPORTER_OTLP_TRACES")
            .or_else(|| variable.strip_prefix("OTEL_EXPORTER_OTLP"));
        let short = short.unwrap_or(&variable);
        assert!(page.contains(short), "README.md does not name {variable}");
    }
}

#[test]
fn the_environment_variables_of_the_commands_are_on_the_page() {
    let page = readme();
    let mut found = 0;
    let mut places = vec![root().join("host/src/cli.rs"), root().join("host/src/cli")];
    while let Some(place) = places.pop() {
        if place.is_dir() {
            let entries = fs::read_dir(&place).expect("the sources are readable");
            places.extend(entries.map(|entry| entry.expect("the folder is readable").path()));
            continue;
        }
        let text = fs::read_to_string(&place).expect("a source is text");
        for after in text.split("\"MIDPLANE_").skip(1) {
            let name = after.split('"').next().unwrap_or_default();
            let name = format!("`MIDPLANE_{name}`");
            assert!(
                page.contains(&name),
                "README.md does not name {name} of {}",
                place.display()
            );
            found += 1;
        }
    }
    assert!(found >= 3, "{found} variables were found");
}

/// Every key that the host reads, and every one that it refuses by name, stands on the page.
#[test]
fn the_keys_of_the_page_are_those_that_the_host_reads() {
    let page = readme();
    let mut keys = Vec::new();
    for source in [
        "manifest/raw.rs",
        "manifest/raw/component.rs",
        "manifest/raw/dependency.rs",
        "manifest/raw/limits.rs",
        "manifest/raw/link.rs",
        "manifest/raw/probe.rs",
        "manifest/raw/trigger.rs",
        "host/runtime_config/section.rs",
    ] {
        let path = root().join("host/src").join(source);
        let text = fs::read_to_string(&path).expect("the source is there");
        for call in [
            ".optional",
            ".or_default",
            ".required",
            ".refuse",
            ".item",
            ".read",
        ] {
            for after in text.split(call).skip(1) {
                // `::<Type>` may stand between the call and its argument.
                let Some((between, argument)) = after.split_once('(') else {
                    continue;
                };
                let key = argument
                    .trim_start()
                    .strip_prefix('"')
                    .and_then(|rest| rest.split('"').next());
                if let Some(key) = key.filter(|_| between.is_empty() || between.starts_with("::<")) {
                    keys.push((source, key.to_owned()));
                }
            }
        }
    }
    assert!(keys.len() > 60, "{} keys were found", keys.len());
    for (source, key) in keys {
        // In prose as `key`, in a block of the runtime configuration as `key =` or `[key`.
        let forms = [
            format!("`{key}`"),
            format!("`{key} "),
            format!("\n{key} ="),
            format!("[{key}"),
            format!(".{key}]"),
        ];
        assert!(
            forms.iter().any(|form| page.contains(form)),
            "README.md does not name `{key}` of {source}"
        );
    }
}

/// A limit of the page is one of the bounds in `host/ARCHITECTURE.md`, which are held against the code.
#[test]
fn the_limits_of_the_page_are_those_of_the_architecture() {
    let architecture = fs::read_to_string(root().join("host/ARCHITECTURE.md")).expect("the page is there");
    // A row has one or several: their names in the first cell, their values in the second.
    let bounds: Vec<(&str, &str)> = architecture
        .lines()
        .map(|line| line.split('|').map(str::trim).collect())
        .filter(|cells: &Vec<&str>| cells.len() > 3)
        .flat_map(|cells| cells[1].split("; ").zip(cells[2].split("; ")).collect::<Vec<_>>())
        .collect();
    let page = readme();
    let rows = page
        .lines()
        .skip_while(|line| *line != "| limit | default |")
        .skip(2);
    let rows: Vec<Vec<&str>> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() > 10, "the table of limits has {} rows", rows.len());
    for row in rows {
        let value = row[2].split(" (").next().unwrap_or_default();
        let known = bounds
            .iter()
            .any(|(bound, known)| bound.starts_with(name(row[1])) && *known == value);
        assert!(
            known,
            "{:?} with {value:?} is no bound of host/ARCHITECTURE.md",
            row[1]
        );
    }
}

/// Where the two pages word a bound differently.
fn name(limit: &str) -> &str {
    match limit {
        "time from the upload's last byte (at most 5 minutes) until a response begins, and between two bytes afterwards" => {
            "time of a request"
        }
        "time of a request in that queue" => "their wait",
        limit => limit,
    }
}
