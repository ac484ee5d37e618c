//! `[component.<id>.dependencies]`. The form of a case is told in the parent module.

pub(super) const CASES: &str = r#"[component.a]
source = "a.wasm"
dependencies = ["a:b"]
----
5:16: `component.a.dependencies`: expected a table, found a list
^ ["a:b"]
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = 3
----
6:15: `component.a.dependencies.a:b@1.0.0`: expected `{ path = "…" }`, `{ url = "…", digest = "…" }` or `{ component = "…" }`, found the integer 3
^ 3
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = "1.0"
----
6:15: `component.a.dependencies.a:b@1.0.0` from a registry is not supported yet by this version of Midplane
^ "1.0"
hint: download the component and give its path: `{ path = "path/to/component.wasm" }`, or give its `url` and `digest`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b" = { version = ">=1.0.0" }
----
6:9: `component.a.dependencies.a:b` from a registry is not supported yet by this version of Midplane
^ { version = ">=1.0.0" }
hint: download the component and give its path: `{ path = "path/to/component.wasm" }`, or give its `url` and `digest`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { package = "x:y", registry = "r.example", version = "1.0.0", export = "e" }
----
6:15: `component.a.dependencies.a:b@1.0.0` from a registry is not supported yet by this version of Midplane
^ { package = "x:y", registry = "r.example", version = "1.0.0", export = "e" }
hint: download the component and give its path: `{ path = "path/to/component.wasm" }`, or give its `url` and `digest`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { pth = "b.wasm" }
----
6:17: unknown key `pth` in `component.a.dependencies.a:b@1.0.0`
^ pth
hint: did you mean `path`?
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { path = "b.wasm", inherit = true }
----
6:34: unknown key `inherit` in `component.a.dependencies.a:b@1.0.0`
^ inherit
hint: known keys: `path`, `url`, `digest`, `component`, `export`, `inherit_configuration`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = {}
----
6:15: the dependency "a:b@1.0.0" is not valid: it does not say where its component is
^ {}
hint: write `path = "…"`, `component = "…"`, or `url = "…"` and `digest = "sha256:…"`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { path = "b.wasm", component = "b" }
----
6:15: the dependency "a:b@1.0.0" is not valid: it has more than one source
^ { path = "b.wasm", component = "b" }
hint: write `path = "…"`, `component = "…"`, or `url = "…"` and `digest = "sha256:…"`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { path = "b.wasm", url = "https://x.example/b.wasm", digest = "sha256:0" }
----
6:15: the dependency "a:b@1.0.0" is not valid: it has more than one source
^ { path = "b.wasm", url = "https://x.example/b.wasm", digest = "sha256:0" }
hint: write `path = "…"`, `component = "…"`, or `url = "…"` and `digest = "sha256:…"`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { path = "b.wasm", digest = "sha256:0" }
----
6:43: the dependency "a:b@1.0.0" is not valid: a `digest` belongs to a `url`, and it has none
^ "sha256:0"
hint: remove the `digest`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { path = "" }
----
6:24: the path "" is not valid: it is empty
^ ""
hint: write the path of the component that exports what this one imports
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { path = "a.wasm" }
----
6:24: the path "a.wasm" is not valid: it is the source of `a` itself
^ "a.wasm"
hint: write the path of the component that exports what this one imports
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { path = "b\u0000.wasm" }
----
6:24: the path "b�.wasm" is not valid: it has a NUL in it
^ "b\u0000.wasm"
hint: write the path of the component that exports what this one imports
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { url = "https://x.example/b.wasm" }
----
6:23: the URL "https://x.example/b.wasm" is not valid: it has no `digest`, so nothing says which bytes are meant
^ "https://x.example/b.wasm"
hint: write `digest = "sha256:…"`; `sha256sum FILE` prints the digits
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { digest = "sha256:0" }
----
6:15: the dependency "a:b@1.0.0" is not valid: it does not say where its component is
^ { digest = "sha256:0" }
hint: write `path = "…"`, `component = "…"`, or `url = "…"` and `digest = "sha256:…"`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { url = "https://x.example/b.wasm", digest = "sha256:0123" }
----
6:60: the digest "sha256:0123" is not valid: it is not `sha256:` and 64 hexadecimal digits
^ "sha256:0123"
hint: `sha256sum FILE` prints the digits
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { url = "https://x.example/b.wasm", digest = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" }
----
6:60: the digest "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" is not valid: it is not `sha256:` and 64 hexadecimal digits
^ "00112233445566778899aabbccddeeff00112233445566778899aabbccdd
hint: `sha256sum FILE` prints the digits
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { url = "https://x.example/b.wasm", digest = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeefg" }
----
6:60: the digest "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeefg" is not valid: it is not `sha256:` and 64 hexadecimal digits
^ "sha256:00112233445566778899aabbccddeeff00112233445566778899a
hint: `sha256sum FILE` prints the digits
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { url = "ftp://x.example/b.wasm", digest = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" }
----
6:23: the URL "ftp://x.example/b.wasm" is not valid: it is no complete URL with `http` or `https`
^ "ftp://x.example/b.wasm"
hint: write it as in `https://example.com/catalog.wasm`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { url = "b.wasm", digest = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" }
----
6:23: the URL "b.wasm" is not valid: it is no complete URL with `http` or `https`
^ "b.wasm"
hint: write it as in `https://example.com/catalog.wasm`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { component = "b" }
----
6:29: there is no component `b`
^ "b"
hint: declare it with `[component.<id>]`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { component = "a" }
----
6:29: the dependency "a:b@1.0.0" is not valid: it leads from `a` to `a` itself
^ "a"
hint: name the one that exports `a:b@1.0.0`; what a component itself exports it does not have to import
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { component = "workr" }
[component.worker]
source = "w.wasm"
----
6:29: there is no component `workr`
^ "workr"
hint: did you mean `worker`?
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0" = { path = "b.wasm" }
----
6:1: the dependency "a:b@1.0" is not valid: `1.0` is no version (https://semver.org)
^ "a:b@1.0"
hint: write what the component imports: `"shop:catalog@1.0.0" = { path = "…" }`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:B@1.0.0" = { path = "b.wasm" }
----
6:1: the dependency "a:B@1.0.0" is not valid: `B` is not a word in kebab case (lower-case letters, digits and hyphens, a letter first)
^ "a:B@1.0.0"
hint: write what the component imports: `"shop:catalog@1.0.0" = { path = "…" }`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"b@1.0.0" = { path = "b.wasm" }
----
6:1: the dependency "b@1.0.0" is not valid: a dependency is named by a package (`shop:catalog@1.0.0`), an interface (`shop:catalog/products@1.0.0`) or a plain import (`my-import`)
^ "b@1.0.0"
hint: write what the component imports: `"shop:catalog@1.0.0" = { path = "…" }`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
my_import = { path = "b.wasm" }
----
6:1: the dependency "my_import" is not valid: words are separated by `-`, not by `_`
^ my_import
hint: write what the component imports: `"shop:catalog@1.0.0" = { path = "…" }`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b/c" = { path = "b.wasm", export = "" }
----
6:39: the export "" is not valid: a name must not be empty
^ ""
hint: write the name of an export: `shop:catalog/products@1.0.0`, or a plain `products`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b/c@1.0.0" = { path = "b.wasm", export = "x:y@1.0.0" }
----
6:45: the export "x:y@1.0.0" is not valid: it names a package, which nothing exports as a whole
^ "x:y@1.0.0"
hint: write the name of an export: `shop:catalog/products@1.0.0`, or a plain `products`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { path = "b.wasm", export = "x:y/z@1.0.0" }
----
6:43: the export "x:y/z@1.0.0" is not valid: no single export can stand for a whole package
^ "x:y/z@1.0.0"
hint: remove `export`, or name one interface: `"a:b/<interface>@1.0.0" = { … }`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { path = "b.wasm", inherit_configuration = ["files", "key_value_store"] }
----
6:68: `inherit_configuration` with "key_value_store" is not valid: nothing of that name can be inherited
^ "key_value_store"
hint: did you mean `key_value_stores`?
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { path = "b.wasm", inherit_configuration = ["secrets"] }
----
6:59: `inherit_configuration` with "secrets" is not valid: nothing of that name can be inherited
^ "secrets"
hint: what can be inherited: `ai_models`, `allowed_outbound_hosts`, `environment`, `files`, `key_value_stores`, `sqlite_databases`, `variables`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { path = "b.wasm", inherit_configuration = "files" }
----
6:58: `component.a.dependencies.a:b@1.0.0.inherit_configuration`: expected a boolean or a list such as `["key_value_stores"]`, found the string "files"
^ "files"
====
[component.a]
source = "a.wasm"
dependencies_inherit_configuration = "yes"
----
5:38: `component.a.dependencies_inherit_configuration`: expected a boolean, found the string "yes"
^ "yes"
====
[component.a]
source = "a.wasm"
dependencies_inherit_configuration = true
[component.a.dependencies]
"a:b@1.0.0" = { path = "b.wasm" }
"a:c@1.0.0" = { path = "c.wasm", inherit_configuration = ["files"] }
----
8:58: `inherit_configuration` is not valid: `dependencies_inherit_configuration` on line 5 lets every dependency inherit everything
^ ["files"]
hint: keep one of the two
====
[component.a]
source = "a.wasm"
dependencies_inherit_configuration = true
[component.a.dependencies]
"a:b@1.0.0" = { path = "b.wasm", inherit_configuration = false }
----
7:58: `inherit_configuration` is not valid: `dependencies_inherit_configuration` on line 5 lets every dependency inherit everything
^ false
hint: keep one of the two
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b/c@1.0.0" = { path = "b.wasm" }
"a:b/c@1.2.0" = { path = "b.wasm" }
----
7:1: the dependency "a:b/c@1.2.0" is not valid: line 6 has "a:b/c@1.0.0": both stand for the same interface
^ "a:b/c@1.2.0"
hint: keep one of the two
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b/c" = { path = "b.wasm" }
"a:b/c@1.2.0" = { path = "b.wasm" }
----
7:1: the dependency "a:b/c@1.2.0" is not valid: line 6 has "a:b/c": both stand for the same interface
^ "a:b/c@1.2.0"
hint: keep one of the two
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b/c@1.0.0" = { path = "b.wasm" }
"a:b/d@1.0.0" = { path = "b.wasm" }
----
7:1: the dependency "a:b/d@1.0.0" is not valid: line 6 has "a:b/c@1.0.0": the interfaces of one package come from one dependency
^ "a:b/d@1.0.0"
hint: write one key for the whole package: `"a:b@1.0.0"`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b/c" = { path = "b.wasm" }
"a:b/d@1.0.0" = { path = "b.wasm" }
----
7:1: the dependency "a:b/d@1.0.0" is not valid: line 6 has "a:b/c": the interfaces of one package come from one dependency
^ "a:b/d@1.0.0"
hint: write one key for the whole package: `"a:b"`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { path = "b.wasm" }
"x:y@1.0.0" = { path = "x.wasm" }
"a:b/d@1.1.0" = { path = "b.wasm" }
----
8:1: the dependency "a:b/d@1.1.0" is not valid: line 6 has "a:b@1.0.0": the package as a whole includes the interface
^ "a:b/d@1.1.0"
hint: keep one of the two
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b/d@1.1.0" = { path = "b.wasm" }
"a:b@1.0.0" = { path = "b.wasm" }
----
7:1: the dependency "a:b@1.0.0" is not valid: line 6 has "a:b/d@1.1.0": the package as a whole includes the interface
^ "a:b@1.0.0"
hint: keep one of the two
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@2.0.0" = { path = "b.wasm" }
"a:b" = { path = "b.wasm" }
----
7:1: the dependency "a:b" is not valid: line 6 has "a:b@2.0.0": both stand for the same package
^ "a:b"
hint: keep one of the two
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b" = { path = "b.wasm" }
"a:b/c@2.0.0" = { path = "b.wasm" }
----
7:1: the dependency "a:b/c@2.0.0" is not valid: line 6 has "a:b": the package as a whole includes the interface
^ "a:b/c@2.0.0"
hint: keep one of the two
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { component = "b" }
[component.b]
source = "b.wasm"
dependencies = { "a:c" = { component = "a" } }
----
6:29: the dependency on `b` is not valid: a component would be composed into itself: `a` → `b` → `a`
^ "b"
hint: make one of them a link, which may lead in a circle: `[component.a.tool.midplane.links]`
====
[component.a]
source = "a.wasm"
[component.a.dependencies]
"a:b@1.0.0" = { component = "b" }
[component.b]
source = "b.wasm"
dependencies = { "a:c" = { component = "c" } }
[component.c]
source = "c.wasm"
dependencies = { "a:d" = { component = "d" } }
[component.d]
source = "d.wasm"
dependencies = { "a:c" = { component = "b" } }
----
9:40: the dependency on `c` is not valid: a component would be composed into itself: `b` → `c` → `d` → `b`
^ "c"
hint: make one of them a link, which may lead in a circle: `[component.b.tool.midplane.links]`
"#;
