//! The file as a whole, `[application]` and `[variables]`. The form of a case is told in the parent module.

pub(super) const CASES: &str = r#"WHOLE
----
1:1: there is no `spin_manifest_version`; only `spin_manifest_version = 2` is understood
^ 
hint: `spin doctor` upgrades a manifest of version 1; a new one starts with `spin_manifest_version = 2`
====
WHOLE
spin_version = "1"
name = "x"
trigger = { type = "http" }
----
1:16: `spin_version` belongs to manifest version 1; only `spin_manifest_version = 2` is understood
^ "1"
hint: `spin doctor` upgrades a manifest of version 1; a new one starts with `spin_manifest_version = 2`
====
WHOLE
spin_manifest_version = "1"
name = "x"
----
1:25: the manifest has version "1"; only `spin_manifest_version = 2` is understood
^ "1"
hint: `spin doctor` upgrades a manifest of version 1; a new one starts with `spin_manifest_version = 2`
====
WHOLE
spin_manifest_version = 3
----
1:25: the manifest has version 3; only `spin_manifest_version = 2` is understood
^ 3
hint: `spin doctor` upgrades a manifest of version 1; a new one starts with `spin_manifest_version = 2`
====
WHOLE
spin_manifest_version = true
----
1:25: `spin_manifest_version`: expected the integer 2, found the boolean true
^ true
====
WHOLE
spin_manifest_version = 2
----
1:1: the manifest needs the key `application`
^ s
hint: for example `application = { name = "my-app" }`
====
WHOLE
spin_manifest_version = 2
[application]
version = "1"
----
2:1: `application` needs the key `name`
^ [application]
hint: for example `name = "my-app"`
====
WHOLE
spin_manifest_version = 2
[application]
name = ""
----
3:8: the name of the app "" is not valid: a name must not be empty
^ ""
====
WHOLE
spin_manifest_version = 2
[application]
name = 7
----
3:8: `application.name`: expected a string, found the integer 7
^ 7
====
WHOLE
spin_manifest_version = 2
[application]
name = "a"
nmae = 1
----
4:1: unknown key `nmae` in `application`
^ nmae
hint: did you mean `name`?
====
WHOLE
spin_manifest_version = 2
[application]
name = "a"
targets = ["spin-up:3.0"]
----
4:1: `application.targets` is not supported yet by this version of Midplane
^ targets
hint: remove it; every import of a component is checked against what Midplane provides when the app starts
====
WHOLE
spin_manifest_version = 2
[application]
name = "a"
[application.trigger.redis]
address = "redis://x"
----
4:22: the trigger type `redis` is not supported yet by this version of Midplane
^ redis
hint: an app has `[[trigger.http]]` triggers only; remove this one, or serve it with Spin
====
WHOLE
spin_manifest_version = 2
[application]
name = "a"
[application.trigger.http]
base = "/api"
----
5:8: `application.trigger.http.base` other than "/" is not supported yet by this version of Midplane
^ "/api"
hint: write the prefix into the `route` of each `[[trigger.http]]`
====
WHOLE
spin_manifest_version = 2
[application]
name = "a"
[application.tool.midplane]
data = "per-servce"
----
5:8: `data = "per-servce"` is not valid: there is no such scope of data
^ "per-servce"
hint: write "per-service" (each service has its own stores) or "app" (one store per label)
====
WHOLE
spin_manifest_version = 2
[application]
name = "a"
[application.tool.midplane]
dta = "app"
----
5:1: `dta` in `application.tool.midplane` is not known to this version of Midplane
^ dta
hint: did you mean `data`?
====
WHOLE
a = = 1
----
1:5: not valid TOML: extra `=`, expected nothing
^ =
====
WHOLE
a = 1
a = 2
----
2:1: not valid TOML: duplicate key
^ a
====
WHOLE
[a
----
1:3: not valid TOML: unclosed table, expected `]`
^ 
====
[aplication2]
----
3:2: unknown key `aplication2` in the manifest
^ aplication2
hint: did you mean `application`?
====
[components.x]
source = "x"
----
3:2: unknown key `components` in the manifest
^ components
hint: did you mean `component`?
====
[variables]
host = {}
----
4:1: the variable `host` is not valid: it is neither `required` nor has it a `default`
^ host
hint: write `default = "…"`, or `required = true` if a value must come from outside
====
[variables]
host = { required = true, default = "x" }
----
4:1: the variable `host` is not valid: it is `required` and has a `default`
^ host
hint: keep one of the two
====
[variables]
Host = { default = "x" }
----
4:1: the name of the variable "Host" is not valid: a word is all lower case or all upper case, "Host" is mixed
^ Host
hint: write `host`
====
[variables]
api-host = { default = "x" }
----
4:1: the name of the variable "api-host" is not valid: words are separated by `_`, not by `-`
^ api-host
hint: write `api_host`
====
[variables]
host = "x"
----
4:8: `variables.host`: expected a table, found the string "x"
^ "x"
====
[variables]
host = { default = 3 }
----
4:20: `variables.host.default`: expected a string, found the integer 3
^ 3
====
[variables]
host = { defualt = "x" }
----
4:10: unknown key `defualt` in `variables.host`
^ defualt
hint: did you mean `default`?
"#;
