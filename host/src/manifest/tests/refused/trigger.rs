//! `[[trigger.http]]` and other types of triggers. The form of a case is told in the parent module.

pub(super) const CASES: &str = r#"[trigger.http]
route = "/"
----
3:1: `trigger.http`: expected a list of tables, written `[[trigger.http]]`, found a table
^ [trigger.http]
====
[[trigger.http]]
route = "/"
----
3:1: the trigger is not valid: it has neither a `component` nor a `static_response`
^ [[trigger.http]]
hint: write `component = "…"` or `static_response = { … }`
====
[[trigger.http]]
component = "a"
----
3:1: `trigger.http` needs the key `route`
^ [[trigger.http]]
hint: for example `route = "/..."`
====
[[trigger.http]]
route = "/"
component = "a"
----
5:13: there is no component `a`
^ "a"
hint: declare it with `[component.<id>]`
====
[[trigger.http]]
route = "/"
component = "ctalog"
[component.catalog]
source = "x"
[component.auth]
source = "x"
----
5:13: there is no component `ctalog`
^ "ctalog"
hint: did you mean `catalog`?
====
[[trigger.http]]
route = "/"
component = "nothing"
[component.catalog]
source = "x"
[component.auth]
source = "x"
----
5:13: there is no component `nothing`
^ "nothing"
hint: declare it with `[component.<id>]`, or use one of: `auth`, `catalog`
====
[[trigger.http]]
route = "hello"
component = "a"
[component.a]
source = "x"
----
4:9: the route "hello" is not valid: a route starts with `/`
^ "hello"
hint: write `route = "/hello"`
====
[[trigger.http]]
route = "/.../a"
component = "a"
[component.a]
source = "x"
----
4:9: the route "/.../a" is not valid: a wildcard stands for the rest of the path: nothing can follow `/...`
^ "/.../a"
====
[[trigger.http]]
route = { private = false }
component = "a"
[component.a]
source = "x"
----
4:21: the route is not valid: `private = false` says nothing about the path
^ false
hint: write the path: `route = "/..."`
====
[[trigger.http]]
route = { privat = true }
component = "a"
----
4:11: unknown key `privat` in `trigger.http.route`
^ privat
hint: did you mean `private`?
====
[[trigger.http]]
route = 1
component = "a"
----
4:9: `trigger.http.route`: expected a path or `{ private = true }`, found the integer 1
^ 1
====
[[trigger.http]]
route = "/"
component = "a"
static_response = { body = "x" }
[component.a]
source = "x"
----
6:19: the trigger is not valid: it has a `component` and a `static_response`
^ { body = "x" }
hint: keep one of the two
====
[[trigger.http]]
route = "/"
static_response = { status_code = 999 }
----
5:35: the status 999 is not valid: a response has a status from 200 to 599
^ 999
====
[[trigger.http]]
route = "/"
static_response = { status_code = "200" }
----
5:35: `trigger.http.static_response.status_code`: expected an integer from 0 to 65535, found the string "200"
^ "200"
====
[[trigger.http]]
route = "/"
static_response = { status_code = 70000 }
----
5:35: `trigger.http.static_response.status_code`: expected an integer from 0 to 65535, found the integer 70000
^ 70000
====
[[trigger.http]]
route = "/"
static_response = { headers = { "a b" = "c" } }
----
5:33: the header "a b" is not valid: HTTP has no such name
^ "a b"
====
[[trigger.http]]
route = "/"
static_response = { headers = { a = "c\nd" } }
----
5:37: the header "a" is not valid: a value has no line breaks or control characters
^ "c\nd"
====
[[trigger.http]]
route = "/"
static_response = { headers = { content-length = "3" } }
----
5:33: the header "content-length" is not valid: the host itself sets it
^ content-length
hint: remove it
====
[[trigger.http]]
route = "/"
component = "a"
executor = { type = "wagi", argv = "x" }
[component.a]
source = "x"
----
6:21: the executor "wagi" is not supported yet by this version of Midplane
^ "wagi"
hint: remove `executor`; a component that exports `wasi:http/incoming-handler@0.2` or `wasi:http/handler@0.3` needs none
====
[[trigger.http]]
route = "/"
component = "a"
dependencies = { middleware = ["x"] }
[component.a]
source = "x"
----
6:1: `trigger.http.dependencies` is not supported yet by this version of Midplane
^ dependencies
hint: compose the middleware into the component at build time (`wac plug`)
====
[[trigger.http]]
route = "/"
component = "a"
components = { x = "a" }
[component.a]
source = "x"
----
6:1: `trigger.http.components` is not supported yet by this version of Midplane
^ components
hint: name one component with `component = "…"`
====
[[trigger.http]]
route = "/"
component = { source = "x.wasm", fils = [] }
----
5:34: unknown key `fils` in `trigger.http.component`
^ fils
hint: did you mean `files`?
====
[[trigger.redis]]
channel = "x"
component = "a"
----
3:11: the trigger type `redis` is not supported yet by this version of Midplane
^ redis
hint: an app has `[[trigger.http]]` triggers only; remove this one, or serve it with Spin
====
[[trigger.http]]
route = "/"
component = ["a"]
----
5:13: `trigger.http.component`: expected the id of a component or a table, found a list
^ ["a"]
====
[[trigger.htpp]]
route = "/"
component = "a"
----
3:11: unknown key `htpp` in `trigger`
^ htpp
hint: did you mean `http`?
"#;
