//! The functions of WASI by which a guest opens sockets and files, each with the bound before it. They take the place of those
//! that `wasmtime-wasi` links, and call them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::channel::oneshot;
use wasmtime::component::{
    Access, Accessor, FutureConsumer, FutureReader, Lift, Linker, LinkerInstance, Lower, Resource, Source,
    StreamReader,
};
use wasmtime::{AsContextMut as _, StoreContextMut};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings as p2;
use wasmtime_wasi::p3::bindings as p3;
use wasmtime_wasi::sockets::{TcpSocket, UdpSocket, WasiSockets, WasiSocketsView};

use crate::engine::guest::Guest;

/// What is opened.
const SOCKET: &str = "a socket";
const FILE: &str = "a file";

/// What a guest of WASI 0.3 is told, which has no word for it.
const NO_SOCKET: &str = "no more sockets may be open: close some of them";

/// Puts the bound before what opens sockets and files; `concurrent` with WASI 0.3.
pub(in crate::engine) fn link(linker: &mut Linker<Guest>, concurrent: bool) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    tcp_of_p2(&mut linker.instance("wasi:sockets/tcp-create-socket@0.2.12")?)?;
    udp_of_p2(&mut linker.instance("wasi:sockets/udp-create-socket@0.2.12")?)?;
    files_of_p2(&mut linker.instance("wasi:filesystem/types@0.2.12")?)?;
    if concurrent {
        sockets_of_p3(&mut linker.instance("wasi:sockets/types@0.3.0")?)?;
        streams_of_sockets_of_p3(&mut linker.instance("wasi:sockets/types@0.3.0")?)?;
        files_of_p3(&mut linker.instance("wasi:filesystem/types@0.3.0")?)?;
        streams_of_files_of_p3(&mut linker.instance("wasi:filesystem/types@0.3.0")?)?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

fn tcp_of_p2(interface: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    use p2::sockets::network::{ErrorCode, IpAddressFamily};
    use p2::sockets::tcp_create_socket::Host;
    type Created = Result<Resource<wasmtime_wasi::p2::TcpSocket>, ErrorCode>;

    interface.func_wrap(
        "create-tcp-socket",
        |mut store: StoreContextMut<'_, Guest>, (family,): (IpAddressFamily,)| {
            if !store.data_mut().may_open(SOCKET) {
                return Ok((Created::Err(ErrorCode::NewSocketLimit),));
            }
            let created: Created = match Host::create_tcp_socket(&mut store.data_mut().sockets(), family) {
                Ok(socket) => Ok(socket),
                Err(error) => Err(error.downcast()?),
            };
            Ok((created,))
        },
    )
}

fn udp_of_p2(interface: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    use p2::sockets::network::{ErrorCode, IpAddressFamily};
    use p2::sockets::udp_create_socket::Host;
    type Created = Result<Resource<wasmtime_wasi::p2::UdpSocket>, ErrorCode>;

    interface.func_wrap_async(
        "create-udp-socket",
        |mut store: StoreContextMut<'_, Guest>, (family,): (IpAddressFamily,)| {
            Box::new(async move {
                if !store.data_mut().may_open(SOCKET) {
                    return Ok((Created::Err(ErrorCode::NewSocketLimit),));
                }
                let mut sockets = store.data_mut().sockets();
                let created: Created = match Host::create_udp_socket(&mut sockets, family).await {
                    Ok(socket) => Ok(socket),
                    Err(error) => Err(error.downcast()?),
                };
                Ok((created,))
            })
        },
    )
}

fn files_of_p2(interface: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    use p2::filesystem::types::{DescriptorFlags, ErrorCode, HostDescriptor, OpenFlags, PathFlags};
    type Open = (
        Resource<Descriptor>,
        PathFlags,
        String,
        OpenFlags,
        DescriptorFlags,
    );
    type Opened = Result<Resource<Descriptor>, ErrorCode>;

    interface.func_wrap_async(
        "[method]descriptor.open-at",
        |mut store: StoreContextMut<'_, Guest>, (this, path_flags, path, how, flags): Open| {
            Box::new(async move {
                if !store.data_mut().may_open(FILE) {
                    return Ok((Opened::Err(ErrorCode::InsufficientMemory),));
                }
                let mut files = store.data_mut().filesystem();
                let opened = HostDescriptor::open_at(&mut files, this, path_flags, path, how, flags).await;
                let opened: Opened = match opened {
                    Ok(file) => Ok(file),
                    Err(error) => Err(error.downcast()?),
                };
                Ok((opened,))
            })
        },
    )
}

fn sockets_of_p3(interface: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    use p3::sockets::types::{ErrorCode, HostTcpSocket, HostUdpSocket, IpAddressFamily};
    type Created<T> = Result<Resource<T>, ErrorCode>;

    let refused = || ErrorCode::Other(Some(NO_SOCKET.to_owned()));
    interface.func_wrap(
        "[static]tcp-socket.create",
        move |mut store: StoreContextMut<'_, Guest>, (family,): (IpAddressFamily,)| {
            if !store.data_mut().may_open(SOCKET) {
                return Ok((Created::<TcpSocket>::Err(refused()),));
            }
            let created = match HostTcpSocket::create(&mut store.data_mut().sockets(), family) {
                Ok(socket) => Ok(socket),
                Err(error) => Err(error.downcast()?),
            };
            Ok((created,))
        },
    )?;
    interface.func_wrap_async(
        "[static]udp-socket.create",
        move |mut store: StoreContextMut<'_, Guest>, (family,): (IpAddressFamily,)| {
            Box::new(async move {
                if !store.data_mut().may_open(SOCKET) {
                    return Ok((Created::<UdpSocket>::Err(refused()),));
                }
                let created = HostUdpSocket::create(&mut store.data_mut().sockets(), family).await;
                let created: Created<UdpSocket> = match created {
                    Ok(socket) => Ok(socket),
                    Err(error) => Err(error.downcast()?),
                };
                Ok((created,))
            })
        },
    )
}

/// A stream keeps its socket open, though the guest may let go of the socket itself.
fn streams_of_sockets_of_p3(interface: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    use p3::sockets::types::HostTcpSocketWithStore;

    interface.func_wrap(
        "[method]tcp-socket.receive",
        |mut store: StoreContextMut<'_, Guest>, (socket,): (Resource<TcpSocket>,)| {
            let open = store.data_mut().beside();
            let access = Access::<_, WasiSockets>::new(store.as_context_mut(), Guest::sockets);
            let (bytes, ended) = <WasiSockets as HostTcpSocketWithStore<Guest>>::receive(access, socket)?;
            let ended = held_until(store, ended, open)?;
            Ok(((bytes, ended),))
        },
    )?;
    interface.func_wrap(
        "[method]tcp-socket.send",
        |mut store: StoreContextMut<'_, Guest>, (socket, bytes): (Resource<TcpSocket>, StreamReader<u8>)| {
            let open = store.data_mut().beside();
            let access = Access::<_, WasiSockets>::new(store.as_context_mut(), Guest::sockets);
            let ended = <WasiSockets as HostTcpSocketWithStore<Guest>>::send(access, socket, bytes)?;
            Ok((held_until(store, ended, open)?,))
        },
    )
}

fn files_of_p3(interface: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    use p3::filesystem::types::{DescriptorFlags, ErrorCode, HostDescriptorWithStore, OpenFlags, PathFlags};
    type Open = (
        Resource<Descriptor>,
        PathFlags,
        String,
        OpenFlags,
        DescriptorFlags,
    );
    type Opened = Result<Resource<Descriptor>, ErrorCode>;

    interface.func_wrap_concurrent(
        "[method]descriptor.open-at",
        |accessor: &Accessor<Guest>, (this, path_flags, path, how, flags): Open| {
            Box::pin(async move {
                // Others may be opened meanwhile.
                let opening = accessor.with(|mut access| {
                    let mut store = access.as_context_mut();
                    let guest = store.data_mut();
                    guest.may_open(FILE).then(|| guest.beside())
                });
                let Some(_opening) = opening else {
                    return Ok((Opened::Err(ErrorCode::InsufficientMemory),));
                };
                let accessor = accessor.with_getter::<WasiFilesystem>(Guest::filesystem);
                let opened = <WasiFilesystem as HostDescriptorWithStore<Guest>>::open_at(
                    &accessor, this, path_flags, path, how, flags,
                );
                let opened: Opened = match opened.await {
                    Ok(file) => Ok(file),
                    Err(error) => Err(error.downcast()?),
                };
                Ok((opened,))
            })
        },
    )
}

/// As those of sockets; and reading a directory opens it anew.
fn streams_of_files_of_p3(interface: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    use p3::filesystem::types::{DirectoryEntry, ErrorCode, Filesize, HostDescriptorWithStore};
    type Entries = (StreamReader<DirectoryEntry>, FutureReader<Result<(), ErrorCode>>);

    interface.func_wrap(
        "[method]descriptor.read-via-stream",
        |mut store: StoreContextMut<'_, Guest>, (file, offset): (Resource<Descriptor>, Filesize)| {
            let open = store.data_mut().beside();
            let access = Access::<_, WasiFilesystem>::new(store.as_context_mut(), Guest::filesystem);
            let (bytes, ended) =
                <WasiFilesystem as HostDescriptorWithStore<Guest>>::read_via_stream(access, file, offset)?;
            let ended = held_until(store, ended, open)?;
            Ok(((bytes, ended),))
        },
    )?;
    interface.func_wrap(
        "[method]descriptor.read-directory",
        |mut store: StoreContextMut<'_, Guest>, (directory,): (Resource<Descriptor>,)| {
            if !store.data_mut().may_open(FILE) {
                let none = StreamReader::new(&mut store, Vec::<DirectoryEntry>::new())?;
                let refused = async { wasmtime::error::Ok(Err(ErrorCode::InsufficientMemory)) };
                let entries: Entries = (none, FutureReader::new(&mut store, refused)?);
                return Ok((entries,));
            }
            let open = store.data_mut().beside();
            let access = Access::<_, WasiFilesystem>::new(store.as_context_mut(), Guest::filesystem);
            let (entries, ended) =
                <WasiFilesystem as HostDescriptorWithStore<Guest>>::read_directory(access, directory)?;
            let ended = held_until(store, ended, open)?;
            Ok(((entries, ended),))
        },
    )
}

/// Passes on how a stream ended, and holds `open` until it has.
fn held_until<E>(
    mut store: StoreContextMut<'_, Guest>,
    ended: FutureReader<Result<(), E>>,
    open: Arc<()>,
) -> wasmtime::Result<FutureReader<Result<(), E>>>
where
    E: Lift + Lower + Send + Sync + 'static,
{
    let (told, end) = oneshot::channel();
    ended.pipe(&mut store, Ending(Some((told, open))))?;
    let end = async move {
        // Where nobody tells it the instance is gone.
        wasmtime::error::Ok(end.await.unwrap_or(Ok(())))
    };
    FutureReader::new(&mut store, end)
}

/// Tells how a stream ended, and holds what is open until then.
struct Ending<E>(Option<(Teller<E>, Arc<()>)>);

type Teller<E> = oneshot::Sender<Result<(), E>>;

impl<E: Lift + Send + Sync + 'static> FutureConsumer<Guest> for Ending<E> {
    type Item = Result<(), E>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, Guest>,
        mut source: Source<'_, Self::Item>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut ended = None;
        source.read(store, &mut ended)?;
        if let (Some((told, _open)), Some(ended)) = (self.0.take(), ended) {
            // The guest does not have to ask how it ended.
            let _unread = told.send(ended);
        }
        Poll::Ready(Ok(()))
    }
}
