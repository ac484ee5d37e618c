//! `[component.<id>.tool.midplane.probe]`. The form of a case is told in the parent module.

pub(super) const CASES: &str = r#"[component.a]
source = "a.wasm"
[component.a.tool.midplane]
probe = "/healthz"
----
6:9: `component.a.tool.midplane.probe`: expected a table such as `{ path = "/healthz" }`, found the string "/healthz"
^ "/healthz"
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane]
prob = { path = "/" }
----
6:1: `prob` in `component.a.tool.midplane` is not known to this version of Midplane
^ prob
hint: did you mean `probe`?
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
method = "GET"
----
5:1: `component.a.tool.midplane.probe` needs the key `path`
^ [component.a.tool.midplane.probe]
hint: for example `probe = { path = "/healthz" }`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
statsu = 200
----
7:1: `statsu` in `component.a.tool.midplane.probe` is not known to this version of Midplane
^ statsu
hint: did you mean `status`?
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
body = "x"
----
7:1: `body` in `component.a.tool.midplane.probe` is not known to this version of Midplane
^ body
hint: known keys: `path`, `method`, `headers`, `status`, `body_contains`, `timeout`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "healthz"
----
6:8: the path "healthz" is not valid: it does not start with `/`
^ "healthz"
hint: write the path that the service itself sees: `path = "/healthz"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = ""
----
6:8: the path "" is not valid: it does not start with `/`
^ ""
hint: write the path that the service itself sees: `path = "/healthz"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "http://example.com/"
----
6:8: the path "http://example.com/" is not valid: it does not start with `/`
^ "http://example.com/"
hint: write the path that the service itself sees: `path = "/healthz"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/a b"
----
6:8: the path "/a b" is not valid: it cannot contain ' ': write it percent-encoded
^ "/a b"
hint: write the path that the service itself sees: `path = "/healthz"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/é"
----
6:8: the path "/é" is not valid: it cannot contain 'é': write it percent-encoded
^ "/é"
hint: write the path that the service itself sees: `path = "/healthz"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/a#b"
----
6:8: the path "/a#b" is not valid: it cannot contain '#': write it percent-encoded
^ "/a#b"
hint: write the path that the service itself sees: `path = "/healthz"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/a\u001b"
----
6:8: the path "/a�" is not valid: it cannot contain '\u{1b}': write it percent-encoded
^ "/a\u001b"
hint: write the path that the service itself sees: `path = "/healthz"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = 3
----
6:8: `component.a.tool.midplane.probe.path`: expected a string, found the integer 3
^ 3
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
method = "PUT"
----
7:10: the method "PUT" is not valid: a probe is one of `GET`, `HEAD` and `POST`
^ "PUT"
hint: leave it out for `GET`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
method = "get"
----
7:10: the method "get" is not valid: a probe is one of `GET`, `HEAD` and `POST`
^ "get"
hint: leave it out for `GET`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
status = "200"
----
7:10: `component.a.tool.midplane.probe.status`: expected an integer from 0 to 65535, found the string "200"
^ "200"
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
status = 100
----
7:10: the status 100 is not valid: an answer has a status from 200 to 599
^ 100
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
status = 600
----
7:10: the status 600 is not valid: an answer has a status from 200 to 599
^ 600
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
status = [200, 204]
----
7:10: `component.a.tool.midplane.probe.status`: expected an integer from 0 to 65535, found a list
^ [200, 204]
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
body_contains = ""
----
7:17: the text "" is not valid: every body contains it
^ ""
hint: leave `body_contains` out if any body will do
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
method = "HEAD"
body_contains = "ok"
----
8:17: the text "ok" is not valid: the answer to `HEAD` has no body
^ "ok"
hint: ask with `GET`, or leave `body_contains` out
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
timeout = 5
----
7:11: `component.a.tool.midplane.probe.timeout`: expected a time as text, such as "5s", found the integer 5
^ 5
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
timeout = "0s"
----
7:11: the timeout "0s" is not valid: no request is answered in no time
^ "0s"
hint: a time is written as in `"500ms"` or `"5s"`, at most `"60s"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
timeout = "61s"
----
7:11: the timeout "61s" is not valid: it is longer than a minute
^ "61s"
hint: a time is written as in `"500ms"` or `"5s"`, at most `"60s"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
timeout = "5"
----
7:11: the timeout "5" is not valid: it has no unit
^ "5"
hint: a time is written as in `"500ms"` or `"5s"`, at most `"60s"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
headers = ["a"]
----
7:11: `component.a.tool.midplane.probe.headers`: expected a table, found a list
^ ["a"]
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
headers = { "a b" = "c" }
----
7:13: the header "a b" is not valid: HTTP has no such name
^ "a b"
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
headers = { x-a = "b\nc" }
----
7:19: the header "x-a" is not valid: a value has no line breaks or control characters
^ "b\nc"
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
headers = { Content-Length = "3" }
----
7:13: the header "Content-Length" is not valid: the host itself sets it
^ Content-Length
hint: remove it
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
headers = { Host = "example.com" }
----
7:13: the header "Host" is not valid: the host itself sets it
^ Host
hint: remove it
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.probe]
path = "/"
headers = { Spin-Path-Info = "/x" }
----
7:13: the header "Spin-Path-Info" is not valid: the host itself sets it
^ Spin-Path-Info
hint: remove it
"#;
