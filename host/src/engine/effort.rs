//! What compiling a component would cost, estimated from its text before it is compiled.
//!
//! Compiling takes time and memory by the values that meet where ways through a function meet, and not by bytes: each label may
//! have to join every variable of its function, so that a hundred kilobytes of nested loops ask for gigabytes. What is counted
//! is the most that there can be: labels times variables, and what branches and calls may pass. *Bound*: one pass over the
//! bytes; [`MAX_OF_FUNCTION`] for each function, [`MAX_OF_COMPONENT`] for all.

use std::fmt;

use wasmparser::{FuncType, FunctionBody, Operator, Parser, Payload, Result};

/// Joins that one function may ask for.
const MAX_OF_FUNCTION: u64 = 16_000_000;
/// Joins that all functions of a component may ask for.
const MAX_OF_COMPONENT: u64 = 1_000_000_000;

/// A component asks for too much work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    joins: u64,
    /// The function that does, by its place among the functions of its module that have code; `None` for all together.
    function: Option<u32>,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joins = self.joins;
        match self.function {
            Some(function) => write!(
                f,
                "function {function} of a module joins values up to {joins} times; {MAX_OF_FUNCTION} are taken"
            ),
            None => write!(
                f,
                "its functions join values up to {joins} times; {MAX_OF_COMPONENT} are taken"
            ),
        }
    }
}

/// Looks for more work than is taken. What is not valid ends the look: the compiler says what is wrong with it.
pub(super) fn check(bytes: &[u8]) -> std::result::Result<(), Excess> {
    let mut all = 0_u64;
    let mut module = Module::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let Ok(payload) = payload else { return Ok(()) };
        match payload {
            Payload::Version { .. } => module = Module::default(),
            Payload::TypeSection(section) => {
                let types = section.into_iter_err_on_gc_types().map_while(Result::ok);
                module.types = types.map(|ty| Type::of(&ty)).collect();
                module.widest = module.types.iter().map(|ty| ty.all).max().unwrap_or(0);
            }
            Payload::FunctionSection(section) => {
                module.functions = section.into_iter().map_while(Result::ok).collect();
            }
            Payload::CodeSectionEntry(body) => {
                let joins = module.joins(&body).unwrap_or(0);
                if joins > MAX_OF_FUNCTION {
                    let function = Some(module.next);
                    return Err(Excess { joins, function });
                }
                all = all.saturating_add(joins);
                module.next = module.next.saturating_add(1);
            }
            _ => {}
        }
    }
    match all > MAX_OF_COMPONENT {
        true => Err(Excess {
            joins: all,
            function: None,
        }),
        false => Ok(()),
    }
}

/// How many values a function takes, and how many it takes and gives.
#[derive(Clone, Copy)]
struct Type {
    parameters: u64,
    all: u64,
}

impl Type {
    fn of(ty: &FuncType) -> Self {
        let parameters = ty.params().len() as u64;
        Self {
            parameters,
            all: parameters.saturating_add(ty.results().len() as u64),
        }
    }
}

/// What is known of the module that is being read.
#[derive(Default)]
struct Module {
    types: Vec<Type>,
    /// The most that a function of it, or a label, takes and gives.
    widest: u64,
    /// The types of its functions that have code.
    functions: Vec<u32>,
    /// How many of those were read.
    next: u32,
}

impl Module {
    fn joins(&self, body: &FunctionBody<'_>) -> Result<u64> {
        let ty = self.functions.get(self.next as usize);
        let ty = ty.and_then(|ty| self.types.get(*ty as usize));
        let mut variables = ty.map_or(0, |ty| ty.parameters);
        for locals in body.get_locals_reader()? {
            variables = variables.saturating_add(locals?.0.into());
        }
        let (mut labels, mut passes) = (0_u64, 0_u64);
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            match operators.read()? {
                Operator::Block { .. }
                | Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::TryTable { .. } => {
                    labels = labels.saturating_add(1);
                }
                Operator::Br { .. }
                | Operator::BrIf { .. }
                | Operator::BrTable { .. }
                | Operator::Return
                | Operator::Call { .. }
                | Operator::CallIndirect { .. }
                | Operator::ReturnCall { .. }
                | Operator::ReturnCallIndirect { .. } => passes = passes.saturating_add(1),
                _ => {}
            }
        }
        let joined = labels.saturating_mul(variables);
        let passed = labels.saturating_add(passes).saturating_mul(self.widest);
        Ok(joined.saturating_add(passed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(module: &str) -> Vec<u8> {
        wat::parse_str(format!("(component (core module {module}))")).expect("a component")
    }

    /// A function with so many variables and so many loops within each other.
    fn nested(locals: usize, loops: usize) -> String {
        format!(
            "(func (local {}) {} {})",
            "i32 ".repeat(locals),
            "loop ".repeat(loops),
            "end ".repeat(loops)
        )
    }

    #[test]
    fn a_small_component_with_a_lot_to_join_is_refused_by_the_function_that_does() {
        let text = format!("(func) {}", nested(5_000, 5_000));
        let refused = check(&component(&text));
        assert_eq!(
            refused,
            Err(Excess {
                joins: 25_000_000,
                function: Some(1)
            })
        );
    }

    #[test]
    fn labels_and_calls_with_many_values_count_as_well() {
        let values = "i32 ".repeat(1_000);
        let calls = "call 0 ".repeat(20_000);
        let text = format!("(func (result {values}) unreachable) (func unreachable {calls} unreachable)");
        assert!(check(&component(&text)).is_err());
    }

    #[test]
    fn functions_that_are_fine_alone_may_be_too_many() {
        let text = nested(3_900, 4_000).repeat(65);
        let refused = check(&component(&text));
        assert!(
            matches!(refused, Err(Excess { function: None, .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn what_compilers_make_is_taken_and_what_is_not_valid_left_to_the_compiler() {
        assert_eq!(check(&component(&nested(1_000, 5_000))), Ok(()));
        assert_eq!(check(b"\0asm\x0d\0\x01\0 and so on"), Ok(()));
    }
}
