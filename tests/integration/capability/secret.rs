//! A secret goes to the guest that was given it and nowhere else.

use std::fs;
use std::path::Path;

use super::{GUESTS, data, put};
use crate::harness::Builder;

const CANARY: &str = "canary-f2c1a9-do-not-leak";

/// Every file below a folder that contains the canary.
fn leaks(folder: &Path, found: &mut Vec<String>, searched: &mut usize) {
    for entry in fs::read_dir(folder).expect("the folder is ours") {
        let path = entry.expect("the folder is ours").path();
        if path.is_dir() {
            leaks(&path, found, searched);
        } else if let Ok(bytes) = fs::read(&path) {
            *searched += 1;
            if bytes
                .windows(CANARY.len())
                .any(|window| window == CANARY.as_bytes())
            {
                found.push(path.display().to_string());
            }
        }
    }
}

#[tokio::test]
async fn a_secret_of_the_environment_is_in_no_log_no_admin_answer_and_no_file() {
    stays_secret(|app| app.env("SPIN_VARIABLE_PASSWORD", CANARY)).await;
}

#[tokio::test]
async fn a_secret_of_the_command_line_is_in_no_log_no_admin_answer_and_no_file() {
    stays_secret(|app| app.arg("--variable").arg(format!("password={CANARY}"))).await;
}

async fn stays_secret(give: impl FnOnce(Builder) -> Builder) {
    let app = data("key_value_stores = [\"default\"]\nsqlite_databases = [\"default\"]")
        .tables("[variables]\npassword = { required = true, secret = true }")
        .tables(
            "[component.p2.variables]\npassword = \"{{ password }}\"\nurl = \"db://user:{{ password }}@db\"",
        )
        .tables("[component.p3.variables]\npassword = \"{{ password }}\"")
        .own_cache()
        .arg("--access-log")
        .env("RUST_LOG", "trace")
        .env("MIDPLANE_LOG", "trace");
    let app = give(app);
    let host = app.start().await;
    for guest in GUESTS {
        assert_eq!(
            host.get(&format!("/{guest}/variables/password")).await.text(),
            CANARY
        );
        put(&host, &format!("/{guest}/kv/default/a"), b"b").await;
        host.get(&format!("/{guest}/variables/missing")).await;
    }
    assert_eq!(
        host.get("/p2/variables/url").await.text(),
        format!("db://user:{CANARY}@db")
    );
    let announced = host.announcement.to_string();
    assert!(!announced.contains(CANARY), "{announced}");
    for path in ["/", "/ready", "/metrics", "/apps", "/services", "/config"] {
        let answer = host.admin_get(path).await;
        assert!(
            !answer.text().contains(CANARY),
            "{path} of the admin API tells the secret"
        );
    }
    let lines = host.stop().await;
    assert!(
        lines
            .iter()
            .any(|line| line.text().contains("/variables/password")),
        "nothing was logged"
    );
    for line in lines {
        assert!(!line.text().contains(CANARY), "{}", line.text());
    }
    let (mut found, mut searched) = (Vec::new(), 0);
    leaks(app.folder(), &mut found, &mut searched);
    assert!(searched >= 4, "only {searched} files were searched");
    assert!(found.is_empty(), "the secret is in {found:?}");
}

#[tokio::test]
async fn a_failed_start_does_not_tell_a_secret() {
    let failure = data("allowed_outbound_hosts = [\"http://{{ password }} not a host\"]")
        .tables("[variables]\npassword = { required = true, secret = true }")
        .env("SPIN_VARIABLE_PASSWORD", CANARY)
        .fail()
        .await;
    assert!(
        !failure.stderr.contains(CANARY) && !failure.stdout.contains(CANARY),
        "{failure:?}"
    );
}
