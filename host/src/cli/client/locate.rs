//! Finds the host that a command is for: by the state directory of the app that one stands in, where a running host says
//! where it answers and keeps the token, or by what was typed.
//!
//! Each host has a state directory of its own, so that several on one machine do not get into each other's way. Nothing
//! is asked here; whether the host is the one that is meant is found by its first answer.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use url::Url;

use super::ClientError;
use crate::cli::AppArgs;
use crate::host::runtime_config::RuntimeConfig;
use crate::host::{ANNOUNCEMENT as RUNNING, STATE_DIR, TOKEN as TOKEN_FILE};
use crate::model::Secret;

/// The variable with the token, which outranks the file.
pub(in crate::cli) const TOKEN: &str = "MIDPLANE_ADMIN_TOKEN";
/// The most that is read of either, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Which host.
#[derive(Debug, Args)]
pub(in crate::cli) struct HostArgs {
    #[command(flatten)]
    pub(in crate::cli) app: AppArgs,
    /// The state directory of the host, if `up` was given one [default: .midplane beside the manifest].
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The settings of the host, if they name its state directory: a command cannot know that by itself.
    #[arg(long, value_name = "FILE")]
    runtime_config_file: Option<PathBuf>,
    /// Where the admin API answers, such as http://127.0.0.1:3001 [default: what the running host wrote down].
    #[arg(long, value_name = "URL", value_parser = address)]
    admin: Option<Address>,
}

/// Host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address(String);

/// A host that may answer.
#[derive(Debug)]
pub(super) struct Place {
    /// `HOST:PORT` of its admin API.
    pub(super) address: String,
    /// By what the address is known, to be read after a comma.
    pub(super) named: String,
    /// The app that it serves, where that is known.
    pub(super) app: Option<String>,
    /// What opens the API.
    pub(super) token: Secret,
    /// Where the token is from.
    pub(super) token_origin: String,
}

/// What a running host writes down. It has more fields, which are for people.
#[derive(Deserialize)]
struct Running {
    /// The base of its admin API.
    admin: String,
    /// The app that it serves.
    app: String,
}

impl HostArgs {
    /// Where the host is. `token` is the value of [`TOKEN`].
    ///
    /// # Errors
    /// [`ClientError`] for files that are missing or say nothing of use.
    pub(super) fn find(&self, token: Option<String>) -> Result<Place, ClientError> {
        let state_dir = self.state_dir()?;
        let (address, named, app) = match &self.admin {
            Some(address) => (address.0.clone(), "which `--admin` names".to_owned(), None),
            None => {
                let file = state_dir.join(RUNNING);
                let running = running(&file)?;
                let address = address(&running.admin).map_err(|why| ClientError::Unclear {
                    file: file.clone(),
                    why,
                })?;
                (
                    address.0,
                    format!("which {} names", file.display()),
                    Some(running.app),
                )
            }
        };
        let (token, token_origin) = read_token(token, state_dir.join(TOKEN_FILE))?;
        Ok(Place {
            address,
            named,
            app,
            token,
            token_origin,
        })
    }

    /// The same order as that of `up`: what was typed, the runtime configuration, beside the manifest.
    fn state_dir(&self) -> Result<PathBuf, ClientError> {
        if let Some(dir) = &self.state_dir {
            return Ok(dir.clone());
        }
        if let Some(file) = &self.runtime_config_file
            && let Some(dir) = RuntimeConfig::load(file)?.state_dir
        {
            return Ok(dir);
        }
        let from = &self.app.from;
        let dir = if from.is_dir() {
            from.as_path()
        } else {
            from.parent().unwrap_or(Path::new(""))
        };
        // For messages: what lies in this directory is named without `./`.
        Ok(if dir == Path::new(".") {
            STATE_DIR.into()
        } else {
            dir.join(STATE_DIR)
        })
    }
}

fn running(file: &Path) -> Result<Running, ClientError> {
    let text = match read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ClientError::NoHost {
                file: file.to_owned(),
            });
        }
        Err(source) => {
            return Err(ClientError::Read {
                file: file.to_owned(),
                source,
            });
        }
    };
    serde_json::from_str(&text).map_err(|error| ClientError::Unclear {
        file: file.to_owned(),
        why: error.to_string(),
    })
}

fn read_token(variable: Option<String>, file: PathBuf) -> Result<(Secret, String), ClientError> {
    let set = variable.filter(|token| !token.trim().is_empty());
    let (text, origin) = match set {
        Some(token) => (token, TOKEN.to_owned()),
        None => match read(&file) {
            Ok(text) => (text, file.display().to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ClientError::NoToken { file });
            }
            Err(source) => return Err(ClientError::Read { file, source }),
        },
    };
    let token = text.trim();
    // What a token may have (RFC 6750, section 2.1), roughly: no blank, nothing that a header cannot hold.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ClientError::BadToken { origin });
    }
    Ok((Secret::new(token), origin))
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(file)?
        .take(MAX_FILE)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// Reads `http://HOST[:PORT]`.
fn address(text: &str) -> Result<Address, String> {
    let url =
        Url::parse(text).map_err(|error| format!("not a URL such as http://127.0.0.1:3001 ({error})"))?;
    if url.scheme() != "http" {
        return Err(format!(
            "the admin API speaks http, not {}: from elsewhere it is reached through a tunnel, such as `ssh -L`",
            url.scheme()
        ));
    }
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) if is_plain => Ok(Address(format!("{host}:{port}"))),
        _ => Err("only a host and a port are wanted, such as http://127.0.0.1:3001".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        host: HostArgs,
    }

    fn typed(arguments: &[&str]) -> HostArgs {
        let arguments = ["midplane"].iter().chain(arguments);
        Typed::try_parse_from(arguments).unwrap().host
    }

    /// An app's directory in which a host runs.
    fn app() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join(STATE_DIR);
        std::fs::create_dir(&state).unwrap();
        let running = r#"{"admin": "http://127.0.0.1:4001", "app": "shop", "pid": 7, "started": "2026-11-21T10:00:00Z"}"#;
        std::fs::write(state.join(RUNNING), running).unwrap();
        std::fs::write(state.join(TOKEN_FILE), "of-the-file\n").unwrap();
        dir
    }

    #[test]
    fn the_host_is_found_by_the_directory_of_the_app_or_by_its_manifest() {
        let dir = app();
        for from in [dir.path().to_owned(), dir.path().join("spin.toml")] {
            let place = typed(&["-f", from.to_str().unwrap()]).find(None).unwrap();
            assert_eq!(place.address, "127.0.0.1:4001");
            assert_eq!(place.app.as_deref(), Some("shop"));
            assert_eq!(place.token.expose(), "of-the-file");
        }
        let state = dir.path().join(STATE_DIR);
        let place = typed(&["--state-dir", state.to_str().unwrap()]).find(None);
        assert_eq!(place.unwrap().address, "127.0.0.1:4001");
    }

    #[test]
    fn the_runtime_configuration_can_name_the_state_directory_and_an_option_outranks_it() {
        let dir = app();
        let file = dir.path().join("runtime.toml");
        let state = dir.path().join(STATE_DIR);
        std::fs::write(&file, format!("state_dir = {state:?}\n")).unwrap();
        let file = file.to_str().unwrap();
        let elsewhere = dir.path().join("elsewhere");
        let args = typed(&["-f", elsewhere.to_str().unwrap(), "--runtime-config-file", file]);
        assert_eq!(args.find(None).unwrap().app.as_deref(), Some("shop"));
        let args = typed(&[
            "--state-dir",
            elsewhere.to_str().unwrap(),
            "--runtime-config-file",
            file,
        ]);
        assert!(matches!(args.find(None), Err(ClientError::NoHost { .. })));
        let args = typed(&["--runtime-config-file", "nowhere.toml"]);
        assert!(matches!(args.find(None), Err(ClientError::RuntimeConfig(_))));
    }

    #[test]
    fn the_variable_outranks_the_file_and_an_empty_one_is_none() {
        let dir = app();
        let args = typed(&["-f", dir.path().to_str().unwrap()]);
        let place = args.find(Some(" of-the-variable ".into())).unwrap();
        assert_eq!(place.token.expose(), "of-the-variable");
        assert_eq!(place.token_origin, TOKEN);
        for empty in ["", " \n"] {
            assert_eq!(
                args.find(Some(empty.into())).unwrap().token.expose(),
                "of-the-file"
            );
        }
        assert!(matches!(
            args.find(Some("two words".into())),
            Err(ClientError::BadToken { .. })
        ));
        std::fs::remove_file(dir.path().join(STATE_DIR).join(TOKEN_FILE)).unwrap();
        assert!(matches!(args.find(None), Err(ClientError::NoToken { .. })));
        assert!(args.find(Some("of-the-variable".into())).is_ok());
    }

    #[test]
    fn an_address_that_was_typed_needs_no_running_host_in_the_state_directory() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().to_str().unwrap();
        let args = typed(&["-f", from, "--admin", "http://[::1]:5001/"]);
        let place = args.find(Some("token".into())).unwrap();
        assert_eq!((place.address.as_str(), place.app), ("[::1]:5001", None));
        assert!(matches!(args.find(None), Err(ClientError::NoToken { .. })));
        assert!(matches!(
            typed(&["-f", from]).find(Some("token".into())),
            Err(ClientError::NoHost { .. })
        ));
    }

    #[test]
    fn only_plain_http_addresses_are_taken() {
        assert_eq!(
            address("http://localhost"),
            Ok(Address("localhost:80".to_owned()))
        );
        for bad in [
            "127.0.0.1:3001",
            "localhost:3001",
            "https://localhost:3001",
            "http://u:p@localhost",
            "http://localhost/v1",
            "http://localhost?x",
            "unix:/run/x",
            "",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_that_says_nothing_of_use_is_an_error() {
        let dir = app();
        let file = dir.path().join(STATE_DIR).join(RUNNING);
        let args = typed(&["-f", dir.path().to_str().unwrap()]);
        for text in [
            "",
            "{}",
            "[",
            r#"{"admin": "https://x", "app": "shop"}"#,
            r#"{"admin": "", "app": "shop"}"#,
        ] {
            std::fs::write(&file, text).unwrap();
            assert!(
                matches!(args.find(None), Err(ClientError::Unclear { .. })),
                "{text}"
            );
        }
    }
}
