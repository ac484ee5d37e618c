//! `limits` and `instances`, of a service and of the app. The form of a case is told in the parent module.

pub(super) const CASES: &str = r#"[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
memory = 256
----
6:10: `component.a.tool.midplane.limits.memory`: expected a size as text, such as "64MiB", found the integer 256
^ 256
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
memory = "256MB"
----
6:10: `memory = "256MB"` is not valid: its unit is none of B, KiB, MiB, GiB, TiB
^ "256MB"
hint: a size is written as in `"64MiB"`, from `"64KiB"` to `"1TiB"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
memory = "0B"
----
6:10: `memory = "0B"` is not valid: it is less than 64KiB
^ "0B"
hint: a size is written as in `"64MiB"`, from `"64KiB"` to `"1TiB"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
memory = "2TiB"
----
6:10: `memory = "2TiB"` is not valid: it is more than 1TiB
^ "2TiB"
hint: a size is written as in `"64MiB"`, from `"64KiB"` to `"1TiB"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
memory = "lots"
----
6:10: `memory = "lots"` is not valid: it does not start with a whole number
^ "lots"
hint: a size is written as in `"64MiB"`, from `"64KiB"` to `"1TiB"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
instance_memory = "5GiB"
----
6:19: `instance_memory = "5GiB"` is not valid: it is more than 4GiB
^ "5GiB"
hint: a size is written as in `"64MiB"`, from `"64KiB"` to `"4GiB"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
instance_memory = "512MiB"
----
6:19: `instance_memory = "512MiB"` is not valid: it is more than all instances may have together, which is 256MiB
^ "512MiB"
hint: write `memory = "512MiB"` or more, or lower `instance_memory`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
cpu_time = 50
----
6:12: `component.a.tool.midplane.limits.cpu_time`: expected a time as text, such as "500ms", found the integer 50
^ 50
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
cpu_time = "0ms"
----
6:12: `cpu_time = "0ms"` is not valid: a request needs some of it
^ "0ms"
hint: a time is written as in `"500ms"` or `"5s"`, at most `"1h"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
cpu_time = "2h"
----
6:12: `cpu_time = "2h"` is not valid: it is longer than an hour
^ "2h"
hint: a time is written as in `"500ms"` or `"5s"`, at most `"1h"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
timeout = "0s"
----
6:11: `timeout = "0s"` is not valid: a request needs some of it
^ "0s"
hint: a time is written as in `"500ms"` or `"5s"`, at most `"1h"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
timeout = "61m"
----
6:11: `timeout = "61m"` is not valid: it is longer than an hour
^ "61m"
hint: a time is written as in `"500ms"` or `"5s"`, at most `"1h"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
timeout = "30"
----
6:11: `timeout = "30"` is not valid: it has no unit
^ "30"
hint: a time is written as in `"500ms"` or `"5s"`, at most `"1h"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
timeout = "30sec"
----
6:11: `timeout = "30sec"` is not valid: its unit is none of ms, s, m, h
^ "30sec"
hint: a time is written as in `"500ms"` or `"5s"`, at most `"1h"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
concurrency = 0
----
6:15: `concurrency = 0` is not valid: nothing would be served
^ 0
hint: write a number from 1 to 10000
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
concurrency = 10001
----
6:15: `concurrency = 10001` is not valid: it is more than 10000
^ 10001
hint: write a number from 1 to 10000
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
concurrency = "64"
----
6:15: `component.a.tool.midplane.limits.concurrency`: expected an integer from 0 to 4294967295, found the string "64"
^ "64"
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
concurrency = -1
----
6:15: `component.a.tool.midplane.limits.concurrency`: expected an integer from 0 to 4294967295, found the integer -1
^ -1
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
queue = 100001
----
6:9: `queue = 100001` is not valid: it is more than 100000
^ 100001
hint: those at its end would wait in vain: `queue_timeout` is over before
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
queue_timeout = "0s"
----
6:17: `queue_timeout = "0s"` is not valid: nobody can wait for no time
^ "0s"
hint: write `queue = 0` to let nobody wait, or a time such as `"500ms"`, at most `"1h"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
queue = 0
queue_timeout = "1s"
----
7:17: `queue_timeout = "1s"` is not valid: with `queue = 0` nobody waits
^ "1s"
hint: leave `queue_timeout` out, or let some requests wait
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
request_body = "unlimited"
----
6:16: `request_body = "unlimited"` is not valid: it does not start with a whole number
^ "unlimited"
hint: a size is written as in `"64MiB"`, up to `"1TiB"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
request_body = 0
----
6:16: `component.a.tool.midplane.limits.request_body`: expected a size as text, such as "64MiB", found the integer 0
^ 0
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
response_body = "0B"
----
6:17: `response_body = "0B"` is not valid: no response could have a body
^ "0B"
hint: write a size such as `"64MiB"`, or `"unlimited"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
response_body = "none"
----
6:17: `response_body = "none"` is not valid: it is neither a size nor "unlimited"
^ "none"
hint: write a size such as `"64MiB"`, or `"unlimited"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
response_body = false
----
6:17: `component.a.tool.midplane.limits.response_body`: expected a size as text, such as "64MiB", or "unlimited", found the boolean false
^ false
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
database_size = "4KiB"
----
6:17: `database_size = "4KiB"` is not valid: it is less than 64KiB
^ "4KiB"
hint: a size is written as in `"64MiB"`, from `"64KiB"` to `"1TiB"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
call_depth = 0
----
6:14: `call_depth = 0` is not valid: nothing would be served
^ 0
hint: write a number from 1 to 64
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
call_depth = 65
----
6:14: `call_depth = 65` is not valid: it is more than 64
^ 65
hint: write a number from 1 to 64
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
memroy = "1GiB"
----
6:1: `memroy` in `component.a.tool.midplane.limits` is not known to this version of Midplane
^ memroy
hint: did you mean `memory`?
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
table_elements = 5
----
6:1: `table_elements` in `component.a.tool.midplane.limits` is not known to this version of Midplane
^ table_elements
hint: known keys: `memory`, `instance_memory`, `cpu_time`, `timeout`, `concurrency`, `queue`, `queue_timeout`, `request_body`, `response_body`, `database_size`, `call_depth`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane]
limits = "many"
----
6:10: `component.a.tool.midplane.limits`: expected a table such as `{ memory = "256MiB", timeout = "5s" }`, found the string "many"
^ "many"
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane]
limit = {}
----
6:1: `limit` in `component.a.tool.midplane` is not known to this version of Midplane
^ limit
hint: did you mean `limits`?
====
[[trigger.http]]
route = "/"
component = { source = "a.wasm", tool = { midplane = { limits = { timeout = "0s" } } } }
----
5:77: `timeout = "0s"` is not valid: a request needs some of it
^ "0s"
hint: a time is written as in `"500ms"` or `"5s"`, at most `"1h"`
====
WHOLE
spin_manifest_version = 2
[application]
name = "a"
[application.tool.midplane.limits]
timeout = 3
----
5:11: `application.tool.midplane.limits.timeout`: expected a time as text, such as "500ms", found the integer 3
^ 3
====
WHOLE
spin_manifest_version = 2
[application]
name = "a"
[application.tool.midplane.limits]
instance_memory = "512MiB"
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
memory = "1GiB"
----
5:19: `instance_memory = "512MiB"` is not valid: it is more than all instances may have together, which is 256MiB
^ "512MiB"
hint: write `memory = "512MiB"` or more, or lower `instance_memory`
====
WHOLE
spin_manifest_version = 2
[application]
name = "a"
[application.tool.midplane.limits]
instance_memory = "96MiB"
[component.a]
source = "a.wasm"
[component.a.tool.midplane.limits]
memory = "64MiB"
----
9:10: `memory = "64MiB"` is not valid: one instance alone may have 96MiB, by the app's `instance_memory`
^ "64MiB"
hint: write `memory = "96MiB"` or more, or an `instance_memory` of its own
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.instances]
policy = "warm"
----
6:10: `policy = "warm"` is not valid: there is no such policy
^ "warm"
hint: write "fresh" (one instance for each request) or "reuse" (one request after another)
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.instances]
policy = true
----
6:10: `component.a.tool.midplane.instances.policy`: expected "fresh" or "reuse", found the boolean true
^ true
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.instances]
policy = "fresh"
max_requests = 5
----
7:16: `max_requests` is not valid: an instance of `policy = "fresh"` serves one request
^ 5
hint: remove `max_requests`, or write `policy = "reuse"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.instances]
policy = "fresh"
idle = "5s"
----
7:8: `idle` is not valid: an instance of `policy = "fresh"` serves one request
^ "5s"
hint: remove `idle`, or write `policy = "reuse"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.instances]
policy = "fresh"
concurrency = 2
----
7:15: `concurrency` is not valid: an instance of `policy = "fresh"` serves one request
^ 2
hint: remove `concurrency`, or write `policy = "reuse"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.instances]
policy = "reuse"
max_requests = 0
----
7:16: `max_requests = 0` is not valid: nothing would be served
^ 0
hint: write a number from 1 to 4294967295
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.instances]
policy = "reuse"
concurrency = 65
----
7:15: `concurrency = 65` of an instance is not valid: the whole service takes 64 requests at once
^ 65
hint: lower it, or raise `concurrency` of `limits`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.instances]
idle = "0s"
----
6:8: `idle = "0s"` is not valid: an instance that waits for no time is never reused
^ "0s"
hint: write `policy = "fresh"` for instances that do not wait, or a time such as `"30s"`, at most `"1h"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.instances]
max_request = 5
----
6:1: `max_request` in `component.a.tool.midplane.instances` is not known to this version of Midplane
^ max_request
hint: did you mean `max_requests`?
====
WHOLE
spin_manifest_version = 2
[application]
name = "a"
[application.tool.midplane.instances]
policy = "fresh"
[component.a]
source = "a.wasm"
[component.a.tool.midplane.instances]
idle = "1s"
----
9:8: `idle` is not valid: an instance of `policy = "fresh"` serves one request
^ "1s"
hint: remove `idle`, or write `policy = "reuse"`
"#;
