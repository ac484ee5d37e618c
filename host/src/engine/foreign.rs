//! The functions that a component imports from other services: host functions that pass a call on.
//!
//! Values are lifted out of the caller's memory and lowered into the callee's. Functions of the shapes in `foreign/shape.rs`,
//! strings and byte lists above all, pass as Rust types, which costs next to nothing; every other shape passes as a tree of
//! [`Value`]s, which costs some tens of nanoseconds and some tens of bytes for each value in it, each byte of a
//! nested list included. That is bounded by what one host call may copy.
//!
//! A call that fails becomes a value of the function's `result` where its error type can carry it (see [`Carrier`]), and a
//! trap of the caller otherwise.

use std::sync::Arc;

use futures::channel::oneshot;
use futures::future::{BoxFuture, FutureExt};
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{
    Accessor, Component, ComponentNamedList, Lift, Linker, LinkerInstance, Lower, Val,
};
use wasmtime::{AsContextMut as _, StoreContextMut};

use super::call::{self, Call, CallError, Dynamic, InPlace, Passage, Typed};
use super::context::RequestContext;
use super::export::Wanted;
use super::guest::{Guest, attribute};
use super::transit::{self, Load, Transit};
use crate::model::{InterfaceName, ServiceName};

mod carrier;
mod shape;

use carrier::Carrier;
use shape::{Answer, Arguments, Params, Results};

/// A value of a WIT type.
pub use wasmtime::component::Val as Value;

/// An imported interface, and who answers it.
pub struct Foreign {
    /// As the caller imports it.
    pub interface: InterfaceName,
    /// Who answers.
    pub target: Target,
}

/// Who answers the functions of an imported interface.
#[derive(Clone)]
pub enum Target {
    /// A service, past the gate that guards the way to it.
    Service(Arc<dyn Gate>),
    /// A function of the host, in place of a service.
    Stub(Arc<dyn Stub>),
}

/// What stands between a caller and a callee: it finds the callee, and lets the call in or not.
pub trait Gate: Send + Sync {
    /// The service behind it.
    fn callee(&self) -> &ServiceName;

    /// Lets a call in that the service `caller` makes while it works for that request.
    fn enter(&self, caller: &Arc<RequestContext>, function: &str) -> Entering;

    /// Counts a call that did not come as far as here.
    fn refused(&self, error: &CallError);
}

/// The answer of a gate: mostly it is there at once.
pub enum Entering {
    /// It is.
    Now(Result<Passage, CallError>),
    /// There is no free place yet.
    Later(BoxFuture<'static, Result<Passage, CallError>>),
}

/// What a call holds until its callee is done, which may be after the answer. Dropped before the call has ended it counts as
/// cancelled.
pub trait Hold: Send {
    /// The call has ended: with the error, or with an answer.
    fn ended(&mut self, error: Option<&CallError>);
}

/// Answers in place of a service.
pub trait Stub: Send + Sync {
    /// Answers one call. The result must be of the function's type, or the caller traps.
    fn call(
        &self,
        function: &str,
        arguments: Vec<Value>,
    ) -> BoxFuture<'static, Result<Option<Value>, CallError>>;
}

/// One imported function.
struct Import {
    wanted: Arc<Wanted>,
    target: Target,
    carrier: Carrier,
    results: usize,
    transit: Arc<Transit>,
}

/// Defines the functions of `foreign` as `component` imports them.
pub(super) fn define(
    linker: &mut Linker<Guest>,
    component: &Component,
    foreign: Foreign,
    transit: &Arc<Transit>,
) -> wasmtime::Result<()> {
    let engine = component.engine();
    let name = foreign.interface.to_string();
    let ty = component.component_type();
    let Some(ComponentItem::ComponentInstance(interface)) = ty
        .imports(engine)
        .find(|(import, _)| *import == name)
        .map(|(_, item)| item.ty)
    else {
        wasmtime::bail!("the component does not import `{name}`");
    };
    let mut instance = linker.instance(&name)?;
    for (function, item) in interface.exports(engine) {
        let ComponentItem::ComponentFunc(ty) = item.ty else {
            continue;
        };
        let import = Arc::new(Import {
            wanted: Arc::new(Wanted::new(foreign.interface.clone(), function)),
            target: foreign.target.clone(),
            carrier: Carrier::of(&ty),
            results: ty.results().len(),
            transit: transit.clone(),
        });
        import.define(&mut instance, function, &ty)?;
    }
    Ok(())
}

impl Import {
    fn define(
        self: Arc<Self>,
        instance: &mut LinkerInstance<'_, Guest>,
        name: &str,
        ty: &ComponentFunc,
    ) -> wasmtime::Result<()> {
        let shapes = match &self.target {
            Target::Service(_) => Params::of(ty).zip(Results::of(ty)),
            // A stub takes values.
            Target::Stub(_) => None,
        };
        match shapes {
            Some((params, results)) => shape::define(
                Definition {
                    import: self,
                    instance,
                    name,
                    concurrent: ty.async_(),
                },
                params,
                results,
            ),
            None if ty.async_() => instance.func_new_concurrent(name, move |accessor, _, params, results| {
                let caller = accessor.with(|mut access| Caller::of(access.as_context_mut()));
                let import = self.clone();
                Box::pin(async move {
                    let output = match &import.target {
                        Target::Service(_) => {
                            let bytes = 2 * transit::sizes(params);
                            import.concurrent(caller, bytes, || import.values(params)).await
                        }
                        Target::Stub(stub) => import.stubbed(caller, &**stub, params).await,
                    };
                    import.fill(output, results)
                })
            }),
            None => instance.func_new_async(name, move |store, _, params, results| {
                let caller = Caller::of(store);
                let import = self.clone();
                Box::new(async move {
                    match &import.target {
                        Target::Service(_) => {
                            let call = InPlace {
                                params,
                                results: &mut *results,
                            };
                            match import.inline(caller, transit::sizes(call.params), call).await {
                                Ok(()) => Ok(()),
                                Err(failed) => import.fill(Err(failed), results),
                            }
                        }
                        Target::Stub(stub) => {
                            let output = import.stubbed(caller, &**stub, params).await;
                            import.fill(output, results)
                        }
                    }
                })
            }),
        }
    }

    /// Asks the gate.
    async fn enter(&self, caller: &Caller, bytes: usize) -> Result<(Passage, Option<Load>), CallError> {
        let caller = caller.context.as_ref().ok_or(CallError::NoRequest)?;
        let Target::Service(gate) = &self.target else {
            return Err(CallError::Host);
        };
        // Before the gate: calls that wait there hold their arguments.
        let Some(load) = self.transit.take(bytes) else {
            gate.refused(&CallError::Congested);
            return Err(CallError::Congested);
        };
        let passage = match gate.enter(caller, &self.wanted.function) {
            Entering::Now(entered) => entered,
            Entering::Later(entering) => entering.await,
        };
        Ok((passage?, load))
    }

    fn values(&self, params: &[Val]) -> Dynamic {
        Dynamic {
            params: params.to_vec(),
            results: self.results,
        }
    }

    async fn stubbed(&self, caller: Caller, stub: &dyn Stub, params: &[Val]) -> Result<Vec<Val>, Failed> {
        match stub.call(&self.wanted.function, params.to_vec()).await {
            Ok(output) => Ok(output.into_iter().collect()),
            Err(error) => Err(caller.failed(error)),
        }
    }

    /// `bytes` is what the arguments take up.
    async fn inline<C: Call>(&self, caller: Caller, bytes: usize, call: C) -> Result<C::Output, Failed> {
        let done = async {
            let (passage, _load) = self.enter(&caller, bytes).await?;
            call::inline(passage, &self.wanted, call).await
        };
        done.await.map_err(|error| caller.failed(error))
    }

    /// `bytes` is what the arguments take up.
    async fn concurrent<C: Call + 'static>(
        &self,
        caller: Caller,
        bytes: usize,
        call: impl FnOnce() -> C,
    ) -> Result<C::Output, Failed> {
        let done = async {
            let (passage, load) = self.enter(&caller, bytes).await?;
            let nursery = passage.context.nursery.clone();
            let (answer, waiting) = oneshot::channel();
            let called = call::concurrent(passage, self.wanted.clone(), call(), answer);
            nursery.leave(
                async move {
                    called.await;
                    drop(load);
                }
                .boxed(),
            );
            waiting.await.unwrap_or(Err(CallError::Host))
        };
        done.await.map_err(|error| caller.failed(error))
    }

    /// What a guest reads of a failure: the function, the callee, why, and by which way it was called.
    fn text(&self, failed: &Failed) -> String {
        let Wanted {
            interface, function, ..
        } = &*self.wanted;
        let callee = match &self.target {
            Target::Service(gate) => gate.callee().as_str(),
            Target::Stub(_) => "its stub",
        };
        let path = failed
            .path
            .as_ref()
            .map_or_else(String::new, |caller| format!(" ({} → {callee})", caller.path()));
        format!(
            "calling `{interface}.{function}` of `{callee}` failed: {}{path}",
            failed.error
        )
    }

    fn trap(&self, failed: &Failed) -> wasmtime::Error {
        wasmtime::Error::msg(self.text(failed))
    }

    /// Writes the values of an answer, or the value that carries the failure.
    fn fill(&self, output: Result<Vec<Val>, Failed>, results: &mut [Val]) -> wasmtime::Result<()> {
        let output = match output {
            Ok(output) => output,
            Err(failed) => match self.carrier.carry(&failed.error, || self.text(&failed)) {
                Some(value) => vec![value],
                None => return Err(self.trap(&failed)),
            },
        };
        for (result, value) in results.iter_mut().zip(output) {
            *result = value;
        }
        Ok(())
    }
}

/// Who calls.
struct Caller {
    /// The request that the instance works for.
    context: Option<Arc<RequestContext>>,
    /// Tells that the instance has this call under way.
    _call: Arc<()>,
}

impl Caller {
    fn of(mut store: StoreContextMut<'_, Guest>) -> Self {
        attribute(store.as_context_mut());
        let guest = store.data();
        Self {
            context: guest.context().cloned(),
            _call: guest.call(),
        }
    }

    fn failed(&self, error: CallError) -> Failed {
        Failed {
            error,
            path: self.context.clone(),
        }
    }
}

/// A call that failed, and the way by which it was made.
struct Failed {
    error: CallError,
    path: Option<Arc<RequestContext>>,
}

/// A function that is about to be defined with types known now.
struct Definition<'a, 'b> {
    import: Arc<Import>,
    instance: &'a mut LinkerInstance<'b, Guest>,
    name: &'a str,
    concurrent: bool,
}

impl Definition<'_, '_> {
    fn typed<P, R>(self) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lift + Lower + Arguments + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Lower + Answer + Send + Sync + 'static,
    {
        let import = self.import;
        if self.concurrent {
            return self.instance.func_wrap_concurrent(
                self.name,
                move |accessor: &Accessor<Guest>, params: P| {
                    let caller = accessor.with(|mut access| Caller::of(access.as_context_mut()));
                    let import = import.clone();
                    Box::pin(async move {
                        let bytes = params.bytes();
                        let output = import
                            .concurrent(caller, bytes, || Typed::<P, R>::new(params))
                            .await;
                        output.or_else(|failed| {
                            R::carry(|| import.text(&failed)).ok_or_else(|| import.trap(&failed))
                        })
                    })
                },
            );
        }
        self.instance
            .func_wrap_async(self.name, move |store: StoreContextMut<'_, Guest>, params: P| {
                let caller = Caller::of(store);
                let import = import.clone();
                Box::new(async move {
                    let bytes = params.bytes();
                    let output = import.inline(caller, bytes, Typed::<P, R>::new(params)).await;
                    output.or_else(|failed| {
                        R::carry(|| import.text(&failed)).ok_or_else(|| import.trap(&failed))
                    })
                })
            })
    }
}

/// The type of a result, if there is one.
fn result_type(ty: &ComponentFunc) -> Option<Type> {
    ty.results().next()
}
