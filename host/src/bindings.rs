//! Every `bindgen!` call: Rust traits for the interfaces that Midplane implements itself.
//!
//! WASI's own bindings come from `wasmtime-wasi` and `wasmtime-wasi-http`. Nothing here decides anything: the modules of
//! [`crate::capability`] implement these traits.

#![expect(
    missing_docs,
    reason = "generated from the WIT packages, which carry the documentation"
)]

wasmtime::component::bindgen!({
    path: "../wit/host",
    world: "midplane:host/capabilities",
    imports: {
        "spin:key-value": trappable | async | store,
        "spin:variables": trappable | async | store,
        "spin:sqlite/sqlite@3.1.0.[static]connection.open-async": trappable | async | store,
        "spin:sqlite/sqlite@3.1.0.[method]connection.execute-async": trappable | async | store,
        "spin:sqlite/sqlite@3.1.0.[method]connection.last-insert-rowid-async": trappable | async | store,
        "spin:sqlite/sqlite@3.1.0.[method]connection.changes-async": trappable | async | store,
        default: trappable | async,
    },
    with: {
        "fermyon:spin/key-value.store": resource::Store,
        "spin:key-value/key-value.store": resource::Store,
        "fermyon:spin/sqlite.connection": resource::Connection,
        "spin:sqlite/sqlite.connection": resource::Connection,
    },
    require_store_data_send: true,
});

/// What stands behind the resource handles of these interfaces. The payload belongs to the capability that made it.
pub mod resource {
    use std::any::Any;

    /// An open key-value store of either version of the interface.
    pub struct Store(pub Box<dyn Any + Send + Sync>);

    /// An open SQLite connection of either version of the interface.
    pub struct Connection(pub Box<dyn Any + Send>);
}
