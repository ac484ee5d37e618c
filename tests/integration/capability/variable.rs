//! Variables: templates, providers and their order.

use super::{GUESTS, data};

const DECLARED: &str = "[variables]\n\
    region = { default = \"north\" }\n\
    tenant = { required = true }\n";

const USED: &str = "[component.p2.variables]\ngreeting = \"hello {{ tenant }} in {{ region }}\"\n\
    [component.p3.variables]\ngreeting = \"hello {{ tenant }} in {{ region }}\"";

fn app() -> crate::harness::Builder {
    data("").tables(DECLARED).tables(USED)
}

#[tokio::test]
async fn a_template_is_filled_from_defaults_and_the_command_line() {
    let host = app().arg("--variable").arg("tenant=acme").start().await;
    for guest in GUESTS {
        assert_eq!(
            host.get(&format!("/{guest}/variables/greeting")).await.text(),
            "hello acme in north"
        );
    }
}

#[tokio::test]
async fn a_variable_comes_from_the_environment() {
    let host = app()
        .env("SPIN_VARIABLE_TENANT", "env")
        .env("SPIN_VARIABLE_REGION", "south")
        .start()
        .await;
    for guest in GUESTS {
        assert_eq!(
            host.get(&format!("/{guest}/variables/greeting")).await.text(),
            "hello env in south"
        );
    }
}

#[tokio::test]
async fn the_command_line_wins_over_providers_and_these_over_the_environment() {
    let host = app()
        .file(
            "runtime.toml",
            "[[variables_provider]]\ntype = \"static\"\nvalues = { tenant = \"file\", region = \"file\" }\n",
        )
        .arg("--runtime-config-file")
        .arg("runtime.toml")
        .env("SPIN_VARIABLE_TENANT", "env")
        .env("SPIN_VARIABLE_REGION", "env")
        .arg("--variable")
        .arg("tenant=flag")
        .start()
        .await;
    for guest in GUESTS {
        assert_eq!(
            host.get(&format!("/{guest}/variables/greeting")).await.text(),
            "hello flag in file"
        );
    }
}

#[tokio::test]
async fn an_env_provider_has_its_own_prefix_and_file() {
    let host = app()
        .file("vars.env", "SHOP_REGION=dotenv\n")
        .file(
            "runtime.toml",
            "[[variables_provider]]\ntype = \"env\"\nprefix = \"SHOP\"\ndotenv_path = \"vars.env\"\n",
        )
        .arg("--runtime-config-file")
        .arg("runtime.toml")
        .env("SHOP_TENANT", "prefixed")
        .start()
        .await;
    for guest in GUESTS {
        assert_eq!(
            host.get(&format!("/{guest}/variables/greeting")).await.text(),
            "hello prefixed in dotenv"
        );
    }
}

#[tokio::test]
async fn of_several_providers_the_first_that_has_a_value_wins() {
    let host = app()
        .file(
            "vars.env",
            "SPIN_VARIABLE_TENANT=dotenv\nSPIN_VARIABLE_REGION=dotenv\n",
        )
        .file(
            "runtime.toml",
            "[[variables_provider]]\ntype = \"static\"\nvalues = { tenant = \"static\" }\n\
             [[variables_provider]]\ntype = \"env\"\ndotenv_path = \"vars.env\"\n",
        )
        .arg("--runtime-config-file")
        .arg("runtime.toml")
        .start()
        .await;
    for guest in GUESTS {
        assert_eq!(
            host.get(&format!("/{guest}/variables/greeting")).await.text(),
            "hello static in dotenv"
        );
    }
}

#[tokio::test]
async fn a_provider_that_cannot_be_read_is_named_at_the_start() {
    for (provider, words) in [
        (
            "type = \"env\"\ndotenv_path = \"missing.env\"",
            ["missing.env", "error"],
        ),
        ("type = \"vault\"", ["runtime.toml:2", "vault"]),
        (
            "type = \"static\"\nvalue = { tenant = \"a\" }",
            ["runtime.toml", "values"],
        ),
    ] {
        let failure = app()
            .file("runtime.toml", format!("[[variables_provider]]\n{provider}\n"))
            .arg("--runtime-config-file")
            .arg("runtime.toml")
            .fail()
            .await;
        for word in words {
            assert!(failure.stderr.contains(word), "no {word} in {}", failure.stderr);
        }
    }
}

#[tokio::test]
async fn a_value_may_come_from_a_file() {
    let host = app()
        .file("tenant.txt", "from a file")
        .arg("--variable")
        .arg("tenant=@tenant.txt")
        .start()
        .await;
    assert_eq!(
        host.get("/p2/variables/greeting").await.text(),
        "hello from a file in north"
    );
}

#[tokio::test]
async fn a_guest_sees_its_own_variables_only() {
    let host = app().arg("--variable").arg("tenant=acme").start().await;
    for guest in GUESTS {
        // `tenant` belongs to the application; the service was given `greeting`.
        let answer = host.get(&format!("/{guest}/variables/tenant")).await;
        assert_eq!(answer.status, 422);
        assert!(answer.text().contains("Undefined"), "{}", answer.text());
        let answer = host.get(&format!("/{guest}/variables/Not-A-Name")).await;
        assert!(answer.text().contains("InvalidName"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_required_variable_without_a_value_is_named_at_the_start() {
    let failure = app().fail().await;
    assert_ne!(failure.status.code(), Some(0));
    for word in ["tenant", "--variable"] {
        assert!(failure.stderr.contains(word), "no {word} in {}", failure.stderr);
    }
}
