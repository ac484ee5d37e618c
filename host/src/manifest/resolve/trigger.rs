//! `[[trigger.http]]`: routes, and who answers them.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use toml::Spanned;

use super::{Resolver, invalid, response};
use crate::manifest::app::{HttpTrigger, TriggerRoute, TriggerTarget};
use crate::manifest::error::{Warning, shorten};
use crate::manifest::raw;
use crate::manifest::read::Result;
use crate::model::ServiceName;
use crate::model::route::RoutePattern;

/// What is below here is answered by the host itself.
const WELL_KNOWN: &str = "/.well-known/spin/";

impl Resolver<'_> {
    /// All triggers in the order of the file, and the services that they hold inline.
    pub(super) fn triggers(&mut self, raw: Vec<Spanned<raw::HttpTrigger>>) -> Result<Vec<HttpTrigger>> {
        let mut triggers = Vec::with_capacity(raw.len());
        for (index, trigger) in raw.into_iter().enumerate() {
            let span = trigger.span();
            let trigger = trigger.into_inner();
            let route = self.route(&trigger.route)?;
            let target = match (trigger.component, trigger.static_response) {
                (Some(component), None) => self.component(component, trigger.id.as_deref(), index)?,
                (None, Some(response)) => {
                    if matches!(route, TriggerRoute::Private) {
                        self.warn(
                            &span,
                            "no request can reach a static response on a private route".to_owned(),
                        );
                    }
                    TriggerTarget::Static(response::resolve(response)?)
                }
                (Some(_), Some(response)) => {
                    let reason = "it has a `component` and a `static_response`";
                    return invalid(
                        "the trigger",
                        reason,
                        Some("keep one of the two"),
                        response.span(),
                    );
                }
                (None, None) => {
                    let hint = "write `component = \"…\"` or `static_response = { … }`";
                    let reason = "it has neither a `component` nor a `static_response`";
                    return invalid("the trigger", reason, Some(hint), span);
                }
            };
            triggers.push(HttpTrigger {
                route,
                target,
                location: self.source.location(&span),
            });
        }
        Ok(triggers)
    }

    fn route(&mut self, route: &Spanned<raw::Route>) -> Result<TriggerRoute> {
        let raw::Route::Path(text) = route.get_ref() else {
            return Ok(TriggerRoute::Private);
        };
        let pattern = RoutePattern::parse(text).or_else(|error| {
            let hint = (!text.starts_with('/')).then(|| format!("write `route = \"/{}\"`", shorten(text)));
            invalid(
                format!("the route {:?}", shorten(text)),
                error.to_string(),
                hint.as_deref(),
                route.span(),
            )
        })?;
        if text.starts_with(WELL_KNOWN) {
            let message = format!(
                "no request can reach {:?}: the host itself answers below {WELL_KNOWN}",
                shorten(text)
            );
            self.warn(&route.span(), message);
        }
        Ok(TriggerRoute::Path(pattern))
    }

    /// The service that a trigger names, or the one that it holds inline.
    fn component(
        &mut self,
        component: Spanned<raw::ComponentRef>,
        trigger: Option<&str>,
        index: usize,
    ) -> Result<TriggerTarget> {
        let span = component.span();
        match component.into_inner() {
            raw::ComponentRef::Id(id) => {
                let name = self.declared(&Spanned::new(span, id), None)?;
                Ok(TriggerTarget::Service(name))
            }
            raw::ComponentRef::Inline(component) => {
                let name = self.inline_name(trigger, index, &span)?;
                let service = self.service(name.clone(), *component)?;
                self.services.insert(name.clone(), service);
                Ok(TriggerTarget::Service(name))
            }
        }
    }

    /// The id of an inline component, made as Spin makes it: after its trigger, or by a number.
    fn inline_name(&self, trigger: Option<&str>, index: usize, span: &Range<usize>) -> Result<ServiceName> {
        let trigger = trigger.map_or_else(|| format!("http-trigger{}", index + 1), str::to_owned);
        // Of one more number than there are services one is free.
        let numbers = index + 1..=index + 1 + self.services.len();
        let mut names = std::iter::once(format!("{trigger}-component"))
            .chain(numbers.map(|number| format!("inline-component{number}")));
        names
            .find_map(|name| {
                ServiceName::parse(&name)
                    .ok()
                    .filter(|name| !self.services.contains_key(name))
            })
            .map_or_else(
                || {
                    invalid(
                        "the inline component",
                        "no id is free for it",
                        Some("give it one"),
                        span.clone(),
                    )
                },
                Ok,
            )
    }

    /// Of equal routes the last wins, as in Spin; the others go, with a warning.
    pub(super) fn drop_replaced(&mut self, triggers: Vec<HttpTrigger>) -> Vec<HttpTrigger> {
        let mut last: HashMap<RoutePattern, usize> = HashMap::new();
        let mut replaced = BTreeMap::new();
        for (index, trigger) in triggers.iter().enumerate() {
            if let TriggerRoute::Path(route) = &trigger.route
                && let Some(earlier) = last.insert(route.clone(), index)
            {
                replaced.insert(earlier, index);
            }
        }
        for (earlier, later) in &replaced {
            let (Some(earlier), Some(later)) = (triggers.get(*earlier), triggers.get(*later)) else {
                continue;
            };
            if let TriggerRoute::Path(route) = &earlier.route {
                let (line, location) = (later.location.line, earlier.location.clone());
                let message =
                    format!("the route {route} is replaced by an equal one at line {line}: the last wins");
                self.warnings.push(Warning { location, message });
            }
        }
        let kept = triggers
            .into_iter()
            .enumerate()
            .filter(|(index, _)| !replaced.contains_key(index));
        kept.map(|(_, trigger)| trigger).collect()
    }
}
