//! `[component.<id>]`. The form of a case is told in the parent module.

pub(super) const CASES: &str = r#"[component.a_b]
source = "x.wasm"
----
3:12: the id of the component "a_b" is not valid: words are separated by `-`, not by `_`
^ a_b
hint: write `a-b`
====
[component.aB]
source = "x.wasm"
----
3:12: the id of the component "aB" is not valid: a word is all lower case or all upper case, "aB" is mixed
^ aB
hint: write `ab`
====
[component.""]
source = "x.wasm"
----
3:12: the id of the component "" is not valid: a name must not be empty
^ ""
====
[component.a]
----
3:1: `component.a` needs the key `source`
^ [component.a]
hint: for example `source = "path/to/component.wasm"`
====
[component.a]
sorce = "x.wasm"
----
4:1: unknown key `sorce` in `component.a`
^ sorce
hint: did you mean `source`?
====
[component.a]
source = ""
----
4:10: the source is not valid: it is empty
^ ""
hint: write the path of the component file
====
[component.a]
source = 1
----
4:10: `component.a.source`: expected the path of a component, found the integer 1
^ 1
====
[component.a]
source = { url = "https://x/a.wasm", digest = "sha256:0" }
----
4:10: `component.a.source` from a URL is not supported yet by this version of Midplane
^ { url = "https://x/a.wasm", digest = "sha256:0" }
hint: download the component and give its path: `source = "path/to/component.wasm"`
====
[component.a]
source = { registry = "r", package = "a:b", version = "1" }
----
4:10: `component.a.source` from a registry is not supported yet by this version of Midplane
^ { registry = "r", package = "a:b", version = "1" }
hint: download the component and give its path: `source = "path/to/component.wasm"`
====
[component.a]
source = { pkg = "a:b" }
----
4:12: unknown key `pkg` in `component.a.source`
^ pkg
hint: known keys: `url`, `digest`, `package`, `registry`, `version`
====
[component.a]
source = {}
----
4:10: `component.a.source`: expected the path of a component, found a table
^ {}
====
[component.a]
source = "x.wasm"
env = {}
----
5:1: unknown key `env` in `component.a`
^ env
hint: known keys: `source`, `description`, `variables`, `environment`, `files`, `exclude_files`, `allowed_outbound_hosts`, `key_value_stores`, `sqlite_databases`, `build`, `dependencies`, `dependencies_inherit_configuration`, `tool`
====
[component.a]
source = "x.wasm"
key_value_store = ["default"]
----
5:1: unknown key `key_value_store` in `component.a`
^ key_value_store
hint: did you mean `key_value_stores`?
====
[component.a]
source = "x.wasm"
key_value_stores = "default"
----
5:20: `component.a.key_value_stores`: expected a list, found the string "default"
^ "default"
====
[component.a]
source = "x.wasm"
key_value_stores = ["default", "no.label"]
----
5:32: the label "no.label" is not valid: a word has only ASCII letters and digits, not '.'
^ "no.label"
====
[component.a]
source = "x.wasm"
sqlite_databases = ["a-b_c"]
----
5:21: the label "a-b_c" is not valid: words are separated by `-`, not by `_`
^ "a-b_c"
hint: write `a-b-c`
====
[component.a]
source = "x.wasm"
ai_models = ["llama2-chat"]
----
5:1: `component.a.ai_models` is not supported yet by this version of Midplane
^ ai_models
hint: call a model over HTTP, with its host in `allowed_outbound_hosts`
====
[component.a]
source = "x.wasm"
allowed_http_hosts = ["https://x"]
----
5:1: `component.a.allowed_http_hosts` is not supported yet by this version of Midplane
^ allowed_http_hosts
hint: write `allowed_outbound_hosts = ["https://…"]`, which replaces it
====
[component.a]
source = "x.wasm"
variables = { x = "{{ nope }}" }
----
5:19: there is no variable `nope`
^ "{{ nope }}"
hint: declare it with `[variables]`
====
[variables]
api_host = { default = "x" }
[component.a]
source = "x.wasm"
allowed_outbound_hosts = [
    "https://{{ api_hots }}",
]
----
8:5: there is no variable `api_hots`
^ "https://{{ api_hots }}"
hint: did you mean `api_host`?
====
[component.a]
source = "x.wasm"
allowed_outbound_hosts = ["https://{{ x"]
----
5:27: the template "https://{{ x" is not valid: `{{` without `}}`
^ "https://{{ x"
hint: write `{{ name }}` with the name of one of the `[variables]`
====
[component.a]
source = "x.wasm"
environment = { A = 1 }
----
5:21: `component.a.environment.A`: expected a string, found the integer 1
^ 1
====
[component.a]
source = "x.wasm"
environment = { "A=B" = "1" }
----
5:17: the environment variable "A=B" is not valid: a name is not empty and has no `=`
^ "A=B"
====
[component.a]
source = "x.wasm"
files = ["../secret/*"]
----
5:10: the glob "../secret/*" is not valid: it leaves the directory of the manifest
^ "../secret/*"
hint: mount it by name: `files = [{ source = "../assets", destination = "/assets" }]`
====
[component.a]
source = "x.wasm"
files = ["[a"]
----
5:10: the glob "[a" is not valid: unclosed character class; missing ']'
^ "[a"
====
[component.a]
source = "x.wasm"
files = [{ source = "a" }]
----
5:10: `component.a.files` needs the key `destination`
^ { source = "a" }
hint: for example `{ source = "assets", destination = "/" }`
====
[component.a]
source = "x.wasm"
files = [{ source = "a", destination = "/../b" }]
----
5:10: the destination "/../b" is not valid: it leaves the guest's root with `..`
^ { source = "a", destination = "/../b" }
====
[component.a]
source = "x.wasm"
files = [3]
----
5:10: `component.a.files`: expected a glob or `{ source = "…", destination = "…" }`, found the integer 3
^ 3
====
[component.a]
source = "x.wasm"
[component.a.build]
command = 3
----
6:11: `component.a.build.command`: expected a command or a list of commands, found the integer 3
^ 3
====
[component.a]
source = "x.wasm"
[component.a.build]
command = []
----
6:11: the build command is not valid: it is empty
^ []
hint: write `command = "cargo build --target wasm32-wasip2 --release"`
====
[component.a]
source = "x.wasm"
[component.a.build]
workdir = "a"
----
5:1: `component.a.build` needs the key `command`
^ [component.a.build]
hint: for example `command = "cargo build --target wasm32-wasip2 --release"`
====
[component.a]
source = "x.wasm"
[component.a.build]
command = "make"
work_dir = "a"
----
7:1: unknown key `work_dir` in `component.a.build`
^ work_dir
hint: did you mean `workdir`?
====
[component.a]
source = "x.wasm"
[component.a.profile.debug]
source = "y.wasm"
----
5:14: `component.a.profile` is not supported yet by this version of Midplane
^ profile
hint: write the settings of that profile into the component itself
====
[component.a]
source = "x.wasm"
tool = { midplane = 1 }
----
5:21: `component.a.tool.midplane`: expected a table, found the integer 1
^ 1
====
[component.a]
source = "x.wasm"
allowed_outbound_hosts = ["example.com"]
----
5:27: the outbound host "example.com" is not valid: it does not start with a scheme, as in `https://example.com` or `*://example.com:443`
^ "example.com"
hint: entries look like `https://example.com`, `https://*.example.com:8443` or `*://10.0.0.0/8:*`
====
[component.a]
source = "x.wasm"
allowed_outbound_hosts = ["https://a..b"]
----
5:27: the outbound host "https://a..b" is not valid: its host is wrong: "a..b" is neither a host name nor an address
^ "https://a..b"
hint: entries look like `https://example.com`, `https://*.example.com:8443` or `*://10.0.0.0/8:*`
====
[component.a]
source = "x.wasm"
targets = ["spin-up:4"]
----
5:1: `component.a.targets` is not supported yet by this version of Midplane
^ targets
hint: remove it; every import of a component is checked against what Midplane provides when the app starts
====
[component.a]
source = "x.wasm"
[component.a.tool.midplane]
timeout = 3
----
6:1: `timeout` in `component.a.tool.midplane` is not known to this version of Midplane
^ timeout
hint: known keys: `links`, `probe`, `limits`, `instances`
"#;
