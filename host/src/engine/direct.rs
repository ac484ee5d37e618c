//! A call of a contract's function that no service makes: whoever holds a program calls it with values.

use std::sync::Arc;

use futures::FutureExt;
use futures::channel::oneshot;

use super::call::{self, CallError, Dynamic, Passage};
use super::context::RequestContext;
use super::export::Wanted;
use super::foreign::{Hold, Value};
use super::program::Program;
use crate::model::InterfaceName;

/// A function of an exported interface, as its caller knows it.
#[derive(Debug, Clone)]
pub struct Called {
    /// The interface; a newer version of it serves too.
    pub interface: InterfaceName,
    /// The function.
    pub function: String,
    /// Whether it is an `async func`.
    pub is_async: bool,
    /// Whether it has a result.
    pub has_result: bool,
}

impl Program {
    /// Calls an exported function within the time of `context`. Arguments of other types than the function's are a failure of
    /// the callee, and so is saying wrongly that the function is an `async func` or has a result.
    ///
    /// # Errors
    /// A callee that fails is logged here, as with every other call.
    pub async fn call(
        self: Arc<Self>,
        called: &Called,
        arguments: Vec<Value>,
        context: Arc<RequestContext>,
    ) -> Result<Option<Value>, CallError> {
        let wanted = Wanted::new(called.interface.clone(), &called.function);
        let call = Dynamic {
            params: arguments,
            results: usize::from(called.has_result),
        };
        let nursery = context.nursery.clone();
        let passage = Passage {
            callee: self,
            context,
            hold: Box::new(Nothing),
        };
        let answered = if called.is_async {
            let (answer, waiting) = oneshot::channel();
            nursery.leave(call::concurrent(passage, Arc::new(wanted), call, answer).boxed());
            let waiting = async { waiting.await.unwrap_or(Err(CallError::Host)) };
            nursery.drive(waiting).await?
        } else {
            nursery.drive(call::inline(passage, &wanted, call)).await?
        };
        let (answer, rest) = answered;
        if let Some(rest) = rest {
            // Whoever calls so waits for everything.
            rest.drive().await;
        }
        Ok(answer.into_iter().next())
    }
}

/// There is no gate before such a call.
struct Nothing;

impl Hold for Nothing {
    fn ended(&mut self, _: Option<&CallError>) {}
}
