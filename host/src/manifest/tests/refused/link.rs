//! `[component.<id>.tool.midplane.links]`. The form of a case is told in the parent module.

pub(super) const CASES: &str = r#"[component.a]
source = "a.wasm"
[component.a.tool.midplane]
link = { "a:b/c@1.0.0" = "b" }
----
6:1: `link` in `component.a.tool.midplane` is not known to this version of Midplane
^ link
hint: did you mean `links`?
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane]
links = ["b"]
----
6:9: `component.a.tool.midplane.links`: expected a table, found a list
^ ["b"]
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = 3
----
6:17: `component.a.tool.midplane.links.a:b/c@1.0.0`: expected the id of a component or `{ service = "…" }`, found the integer 3
^ 3
====
[component.a]
source = "a.wasm"
[component.catalog]
source = "b.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = "catlog"
----
8:17: there is no component `catlog`
^ "catlog"
hint: did you mean `catalog`?
====
[component.a]
source = "a.wasm"
[component.b]
source = "b.wasm"
[component.catalog]
source = "c.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = { service = "No such" }
----
10:29: there is no component `No such`
^ "No such"
hint: declare it with `[component.<id>]`, or use one of: `b`, `catalog`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = "d"
----
6:17: there is no component `d`
^ "d"
hint: declare it with `[component.<id>]`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = "a"
----
6:17: the link "a:b/c@1.0.0" is not valid: it leads from `a` to `a` itself
^ "a"
hint: name the one that exports `a:b/c@1.0.0`; what a component itself exports it does not have to import
====
[[trigger.http]]
id = "web"
route = "/"
component = { source = "a.wasm", tool = { midplane = { links = { "a:b/c" = "web-component" } } } }
----
6:76: the link "a:b/c" is not valid: it leads from `web-component` to `web-component` itself
^ "web-component"
hint: name the one that exports `a:b/c`; what a component itself exports it does not have to import
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.links]
"shop:catalog@1.0.0" = "b"
----
6:1: the link "shop:catalog@1.0.0" is not valid: an interface is named `namespace:package/interface@version`, for example `shop:catalog/products@1.0.0`
^ "shop:catalog@1.0.0"
hint: a link is for one interface: write `"shop:catalog/<interface>@1.0.0"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.links]
products = "b"
----
6:1: the link "products" is not valid: an interface is named `namespace:package/interface@version`, for example `shop:catalog/products@1.0.0`
^ products
hint: write the name of an import: `"shop:catalog/products@1.0.0" = "catalog"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.links]
"shop:Catalog/products@1.0.0" = "b"
----
6:1: the link "shop:Catalog/products@1.0.0" is not valid: `Catalog` is not a word in kebab case (lower-case letters, digits and hyphens, a letter first)
^ "shop:Catalog/products@1.0.0"
hint: write the name of an import: `"shop:catalog/products@1.0.0" = "catalog"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.links]
"shop:catalog/products@1" = "b"
----
6:1: the link "shop:catalog/products@1" is not valid: `1` is no version (https://semver.org)
^ "shop:catalog/products@1"
hint: write the name of an import: `"shop:catalog/products@1.0.0" = "catalog"`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.links]
"shop:catalog/\u001bproducts" = "b"
----
6:1: the link "shop:catalog/�products" is not valid: `�products` is not a word in kebab case (lower-case letters, digits and hyphens, a letter first)
^ "shop:catalog/\u001bproducts"
hint: write the name of an import: `"shop:catalog/products@1.0.0" = "catalog"`
====
[component.a]
source = "a.wasm"
[component.b]
source = "b.wasm"
[component.a.tool.midplane.links]
"shop:catalog/products@1.0.0" = "b"
"shop:catalog/stock@1.2.0" = "b"
"shop:catalog/products@1.2.0" = "b"
----
10:1: the link "shop:catalog/products@1.2.0" is not valid: line 8 has "shop:catalog/products@1.0.0": both are versions of one interface that the same export can serve, so they contradict each other
^ "shop:catalog/products@1.2.0"
hint: keep the one that the component imports
====
[component.a]
source = "a.wasm"
[component.b]
source = "b.wasm"
[component.a.tool.midplane.links]
"x:y/z@0.2.1" = "b"
"x:y/z@0.2.0" = { service = "b" }
----
9:1: the link "x:y/z@0.2.0" is not valid: line 8 has "x:y/z@0.2.1": both are versions of one interface that the same export can serve, so they contradict each other
^ "x:y/z@0.2.0"
hint: keep the one that the component imports
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = {}
----
6:17: `component.a.tool.midplane.links.a:b/c@1.0.0` needs the key `service`
^ {}
hint: for example `{ service = "catalog", timeout = "500ms" }`
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = { servic = "b" }
----
6:19: unknown key `servic` in `component.a.tool.midplane.links.a:b/c@1.0.0`
^ servic
hint: did you mean `service`?
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = { service = "b", timeuot = "1s" }
----
6:34: `timeuot` in `component.a.tool.midplane.links.a:b/c@1.0.0` is not known to this version of Midplane
^ timeuot
hint: did you mean `timeout`?
====
[component.a]
source = "a.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = { service = "b", queue = 3 }
----
6:34: `queue` in `component.a.tool.midplane.links.a:b/c@1.0.0` is not known to this version of Midplane
^ queue
hint: known keys: `service`, `timeout`, `concurrency`
====
[component.a]
source = "a.wasm"
[component.b]
source = "b.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = { service = "b", timeout = 500 }
----
8:44: `component.a.tool.midplane.links.a:b/c@1.0.0.timeout`: expected a time as text, such as "500ms", found the integer 500
^ 500
====
[component.a]
source = "a.wasm"
[component.b]
source = "b.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = { service = "b", timeout = "0s" }
----
8:44: the timeout "0s" is not valid: no call ends in no time
^ "0s"
hint: a time is written as in `"500ms"` or `"5s"`, at most `"1h"`
====
[component.a]
source = "a.wasm"
[component.b]
source = "b.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = { service = "b", timeout = "61m" }
----
8:44: the timeout "61m" is not valid: it is longer than an hour
^ "61m"
hint: a time is written as in `"500ms"` or `"5s"`, at most `"1h"`
====
[component.a]
source = "a.wasm"
[component.b]
source = "b.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = { service = "b", timeout = "5 s" }
----
8:44: the timeout "5 s" is not valid: its unit is none of ms, s, m, h
^ "5 s"
hint: a time is written as in `"500ms"` or `"5s"`, at most `"1h"`
====
[component.a]
source = "a.wasm"
[component.b]
source = "b.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = { service = "b", concurrency = 0 }
----
8:48: `component.a.tool.midplane.links.a:b/c@1.0.0.concurrency`: expected an integer from 1 to 4294967295, found the integer 0
^ 0
====
[component.a]
source = "a.wasm"
[component.b]
source = "b.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = { service = "b", concurrency = -1 }
----
8:48: `component.a.tool.midplane.links.a:b/c@1.0.0.concurrency`: expected an integer from 1 to 4294967295, found the integer -1
^ -1
====
[component.a]
source = "a.wasm"
[component.b]
source = "b.wasm"
[component.a.tool.midplane.links]
"a:b/c@1.0.0" = { service = "b", concurrency = "16" }
----
8:48: `component.a.tool.midplane.links.a:b/c@1.0.0.concurrency`: expected an integer from 1 to 4294967295, found the string "16"
^ "16"
"#;
