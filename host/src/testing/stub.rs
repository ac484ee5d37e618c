//! What answers in place of other services, and what it was asked.
//!
//! Closures are given by function; each answer is held against the function's type before the guest gets it. What a stub did
//! wrong is the test's own fault: it is kept with the request that met it ([`watched`]), and fails that one alone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::fit::{Mismatch, fit};
use crate::engine::{self, CallError, Value};
use crate::link::{Contract, Type};

/// How many calls are remembered; later ones are not.
const MAX_CALLS: usize = 100_000;

/// What a stub answers: a value of the function's result; nothing, where it has none; or a failure of the call, which is what
/// the guest meets when the service that it calls fails: an `unavailable` of the function's error where that can carry it, and
/// a trap otherwise.
#[derive(Debug)]
pub struct Answer(Result<Option<Value>, String>);

impl Answer {
    /// A call that fails, with what the guest is told about it.
    pub fn failure(text: impl Into<String>) -> Self {
        Self(Err(text.into()))
    }
}

impl From<()> for Answer {
    fn from((): ()) -> Self {
        Self(Ok(None))
    }
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        Self(Ok(Some(value)))
    }
}

impl From<Option<Value>> for Answer {
    fn from(value: Option<Value>) -> Self {
        Self(Ok(value))
    }
}

/// An error fails the call.
impl<T: Into<Self>, E: fmt::Display> From<Result<T, E>> for Answer {
    fn from(answer: Result<T, E>) -> Self {
        match answer {
            Ok(answer) => answer.into(),
            Err(error) => Self::failure(error.to_string()),
        }
    }
}

/// One call that a service made.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The interface, as the service imports it.
    pub interface: String,
    /// The function.
    pub function: String,
    /// With what.
    pub arguments: Vec<Value>,
}

/// What a stub did wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StubFault {
    /// Its answer is not of the function's type.
    #[error("the stub of `{function}` of `{interface}` answered what the function does not return")]
    Answer {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
        /// Where it is wrong.
        source: Mismatch,
    },
    /// It answered nothing, and the function returns something, or the other way round.
    #[error(
        "the stub of `{function}` of `{interface}` answered {answered}, and the function returns {returns}"
    )]
    Presence {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
        /// `nothing`, or the value.
        answered: String,
        /// `nothing`, or the type.
        returns: String,
    },
    /// There is none for this function.
    #[error("the service called `{function}` of `{interface}`, which has no stub")]
    Missing {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
    },
    /// It panicked.
    #[error("the stub of `{function}` of `{interface}` panicked: {message}")]
    Panicked {
        /// The interface.
        interface: String,
        /// The function.
        function: String,
        /// What it said.
        message: String,
    },
}

/// A closure that answers.
pub(super) type Respond = Arc<dyn Fn(Vec<Value>) -> BoxFuture<'static, Answer> + Send + Sync>;

tokio::task_local! {
    /// The first fault that the request met for which this task works.
    static MET: Arc<Mutex<Option<StubFault>>>;
}

/// Does the work of one request, and gives back the first fault of a stub that it met, beside what it came to. What runs at
/// the same time, or is left over from a request that was given up, has its own.
pub(super) async fn watched<F: Future>(work: F) -> (F::Output, Option<StubFault>) {
    let met = Arc::<Mutex<Option<StubFault>>>::default();
    let done = MET.scope(met.clone(), work).await;
    let fault = met.lock().take();
    (done, fault)
}

/// Fails a call, and the request that it belongs to.
fn failed(fault: StubFault) -> CallError {
    let text = fault.to_string();
    let kept = MET.try_with(|met| {
        met.lock().get_or_insert(fault);
    });
    if kept.is_err() {
        tracing::warn!("{text}; the call belongs to no request that the test waits for");
    }
    CallError::Refused(text)
}

/// What all stubs of a service share.
#[derive(Default)]
pub(super) struct Record {
    calls: Mutex<Vec<Call>>,
}

impl Record {
    /// The calls so far, in the order in which they were made.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }

    fn call(&self, interface: &str, function: &str, arguments: &[Value]) {
        let mut calls = self.calls.lock();
        if calls.len() < MAX_CALLS {
            calls.push(Call {
                interface: interface.to_owned(),
                function: function.to_owned(),
                arguments: arguments.to_vec(),
            });
        }
    }
}

/// The stub of one imported interface.
pub(super) struct Interface {
    contract: Contract,
    functions: BTreeMap<String, Respond>,
    record: Arc<Record>,
}

impl Interface {
    pub(super) fn new(contract: Contract, functions: BTreeMap<String, Respond>, record: Arc<Record>) -> Self {
        Self {
            contract,
            functions,
            record,
        }
    }
}

impl engine::Stub for Interface {
    fn call(
        &self,
        function: &str,
        arguments: Vec<Value>,
    ) -> BoxFuture<'static, Result<Option<Value>, CallError>> {
        let interface = self.contract.interface.to_string();
        let function = function.to_owned();
        self.record.call(&interface, &function, &arguments);
        let Some(respond) = self.functions.get(&function).cloned() else {
            let missing = failed(StubFault::Missing { interface, function });
            return std::future::ready(Err(missing)).boxed();
        };
        let result = self
            .contract
            .functions
            .get(&function)
            .and_then(|ty| ty.result.clone());
        async move {
            // The closure itself may panic, as well as its future.
            let answered =
                std::panic::AssertUnwindSafe(async move { respond(arguments).await }).catch_unwind();
            let answered = match answered.await {
                Ok(Answer(answered)) => answered.map_err(CallError::Refused)?,
                Err(panic) => {
                    let message = said(&*panic);
                    return Err(failed(StubFault::Panicked {
                        interface,
                        function,
                        message,
                    }));
                }
            };
            exact(interface, function, answered, result.as_ref()).map_err(failed)
        }
        .boxed()
    }
}

fn exact(
    interface: String,
    function: String,
    answered: Option<Value>,
    result: Option<&Type>,
) -> Result<Option<Value>, StubFault> {
    match (answered, result) {
        (None, None) => Ok(None),
        (Some(value), Some(ty)) => fit(value, ty).map(Some).map_err(|source| StubFault::Answer {
            interface,
            function,
            source,
        }),
        (answered, returns) => Err(StubFault::Presence {
            interface,
            function,
            answered: answered.map_or_else(|| "nothing".to_owned(), |value| super::fit::show(&value)),
            returns: returns.map_or_else(|| "nothing".to_owned(), ToString::to_string),
        }),
    }
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::sync::Barrier;

    use super::*;
    use crate::engine::Stub as _;
    use crate::model::InterfaceName;

    /// A function without a result and without a stub, and one whose stub answers.
    fn interface() -> Interface {
        let name = InterfaceName::parse("acme:a/b@1.0.0").unwrap();
        let contract = Contract {
            interface: name,
            functions: BTreeMap::new(),
            items: BTreeMap::new(),
        };
        let good: Respond = Arc::new(|_| std::future::ready(Answer::from(())).boxed());
        Interface::new(
            contract,
            BTreeMap::from([("good".to_owned(), good)]),
            Arc::default(),
        )
    }

    #[tokio::test]
    async fn a_fault_is_that_of_the_request_that_met_it() {
        let interface = interface();
        let (called, ended) = (Barrier::new(2), Barrier::new(2));
        // The one that is well ends between the fault of the other one and its end.
        let bad = watched(async {
            let answer = interface.call("bad", Vec::new()).await;
            called.wait().await;
            ended.wait().await;
            answer
        });
        let good = async {
            let seen = watched(async {
                called.wait().await;
                interface.call("good", Vec::new()).await
            })
            .await;
            ended.wait().await;
            seen
        };
        let ((bad, fault), (good, none)) = tokio::join!(bad, good);
        assert!(bad.is_err());
        assert!(matches!(fault, Some(StubFault::Missing { function, .. }) if function == "bad"));
        assert_eq!(good.unwrap(), None);
        assert_eq!(none, None);
    }

    #[tokio::test]
    async fn a_fault_of_a_request_that_was_given_up_is_not_that_of_the_next_one() {
        let interface = interface();
        let given_up = watched(async {
            let _failed = interface.call("bad", Vec::new()).await;
            std::future::pending::<()>().await;
        });
        assert!(given_up.now_or_never().is_none());
        let (answer, fault) = watched(interface.call("good", Vec::new())).await;
        assert_eq!((answer.unwrap(), fault), (None, None));
        assert_eq!(interface.record.calls().len(), 2);
        // Of no request at all.
        assert!(interface.call("bad", Vec::new()).await.is_err());
        assert_eq!(watched(std::future::ready(())).await.1, None);
    }
}
