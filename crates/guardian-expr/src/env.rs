//! What expressions can see: variables, functions, limits.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, LazyLock};

use foldhash::fast::FixedState;
use serde_json::Value as Json;

use crate::ast::Ast;
use crate::check::{self, Checked};
use crate::error::{Error, EvalError};
use crate::limits::Limits;
use crate::program::Program;
use crate::signature::Signature;
use crate::stdlib::{self, Native};
use crate::type_table::{DYN, TypeId, TypeTable};
use crate::types::Type;
use crate::value::Value;
use crate::{parser, schema};

/// A variable, or the name of a type.
#[derive(Debug, Clone)]
pub(crate) struct Declaration {
    pub(crate) r#type: TypeId,
    pub(crate) is_type: bool,
}

/// A way to call a function.
#[derive(Clone)]
pub(crate) struct Overload {
    pub(crate) receiver: bool,
    pub(crate) parameters: Vec<TypeId>,
    pub(crate) result: TypeId,
    pub(crate) generic: bool,
    pub(crate) host: Option<Arc<HostFunction>>,
}

#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Of a function of the library, what does it, and its name for as long as the program runs.
    pub(crate) native: Option<(Native, &'static str)>,
    pub(crate) overloads: Vec<Overload>,
}

type Implementation = dyn for<'a> Fn(&[Value<'a>]) -> Result<Value<'a>, EvalError> + Send + Sync;

/// A function of the host: how it may be called, what it costs, and what it does.
///
/// Its arguments are of the declared types when it is called: with others an evaluation fails without calling it.
///
/// ```
/// use guardian_expr::{Env, HostFunction, Value};
///
/// let env = Env::builder()
///     .function(HostFunction::new("score(string) -> int", |arguments| {
///         Ok(Value::Int(arguments[0].as_str().map_or(0, |name| name.len() as i64)))
///     }).cost(20))
///     .build()?;
/// let program = env.compile("score('acme') > 3")?;
/// assert_eq!(program.evaluate(&serde_json::Value::Null).unwrap(), Value::Bool(true));
/// assert!(env.compile("score(5)").is_err());
/// # Ok::<(), guardian_expr::Error>(())
/// ```
pub struct HostFunction {
    signature: String,
    pub(crate) parameters: Vec<Type>,
    pub(crate) cost: u64,
    pub(crate) implementation: Box<Implementation>,
}

impl HostFunction {
    /// A function with this signature: `score(string, list(int)) -> double`, or `string.score(int) -> double` for a call on
    /// a receiver, which is then the first argument. Several functions of one name are its overloads.
    pub fn new<F>(signature: impl Into<String>, implementation: F) -> Self
    where
        F: for<'a> Fn(&[Value<'a>]) -> Result<Value<'a>, EvalError> + Send + Sync + 'static,
    {
        Self {
            signature: signature.into(),
            parameters: Vec::new(),
            cost: 1,
            implementation: Box::new(implementation),
        }
    }

    /// With what a call costs, in cost units; 1 where nothing is said.
    #[must_use]
    pub fn cost(mut self, cost: u64) -> Self {
        self.cost = cost;
        self
    }
}

impl fmt::Debug for HostFunction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HostFunction").field("signature", &self.signature).finish_non_exhaustive()
    }
}

/// Everything that is declared. Only the host adds to the tables, so a fast hash without a secret will do.
#[derive(Clone)]
pub(crate) struct Declarations {
    pub(crate) types: TypeTable,
    pub(crate) variables: HashMap<String, Declaration, FixedState>,
    pub(crate) functions: Vec<Function>,
    pub(crate) function_names: HashMap<String, u32, FixedState>,
    /// The first parts of the names of variables and functions that have dots.
    pub(crate) namespaces: HashSet<String, FixedState>,
    /// The most parts that a name of a variable or function has.
    pub(crate) most_parts: usize,
    pub(crate) container: String,
    /// Whether a variable that is not declared is one of unknown type.
    pub(crate) open: bool,
    pub(crate) limits: Limits,
}

/// The standard library and nothing else.
static STANDARD: LazyLock<Arc<Declarations>> = LazyLock::new(|| {
    let mut declarations = Declarations {
        types: TypeTable::new(),
        variables: HashMap::default(),
        functions: Vec::new(),
        function_names: HashMap::default(),
        namespaces: HashSet::default(),
        most_parts: 1,
        container: String::new(),
        open: true,
        limits: Limits::default(),
    };
    for (name, r#type) in stdlib::TYPE_NAMES {
        let r#type = r#type.parse().unwrap_or_default();
        let id = declarations.types.add(&Type::Type(Box::new(r#type)));
        declarations.declare(name, id, true);
    }
    for (name, native, signatures) in stdlib::functions() {
        for signature in signatures {
            // A signature of the table that does not parse would be a function without overloads; a test calls each.
            if let Ok(signature) = signature.parse::<Signature>() {
                declarations.add_overload(&signature, Some((native, name)), None);
            }
        }
        debug_assert!(declarations.function_names.contains_key(name), "{name} has a faulty signature");
    }
    Arc::new(declarations)
});

impl Declarations {
    fn declare(&mut self, name: &str, r#type: TypeId, is_type: bool) {
        self.most_parts = self.most_parts.max(name.split('.').count());
        if let Some((first, _)) = name.split_once('.') {
            self.namespaces.insert(first.to_owned());
        }
        self.variables.insert(name.to_owned(), Declaration { r#type, is_type });
    }

    fn add_overload(
        &mut self,
        signature: &Signature,
        native: Option<(Native, &'static str)>,
        host: Option<Arc<HostFunction>>,
    ) {
        let at = match self.function_names.get(&signature.name) {
            Some(at) => *at,
            None => {
                let at = crate::ast::count(self.functions.len());
                let function = Function { name: signature.name.clone(), native, overloads: Vec::new() };
                self.functions.push(function);
                self.function_names.insert(signature.name.clone(), at);
                at
            }
        };
        let parts: Vec<_> = signature.name.split('.').collect();
        if let [first, _, ..] = parts.as_slice() {
            self.namespaces.insert((*first).to_owned());
            self.most_parts = self.most_parts.max(parts.len());
        }
        let parameters: Vec<_> = signature.parameters.iter().map(|each| self.types.add(each)).collect();
        let result = self.types.add(&signature.result);
        let generic = signature.parameters.iter().chain([&signature.result]).any(has_parameter);
        if let Some(function) = self.functions.get_mut(at as usize) {
            function.overloads.push(Overload {
                receiver: signature.receiver,
                parameters,
                result,
                generic,
                host,
            });
        }
    }
}

/// Whether a type parameter is in the type of a declaration.
fn has_parameter(declared: &Type) -> bool {
    match declared {
        Type::Param(_) => true,
        Type::Type(inner) | Type::List(inner) | Type::Optional(inner) | Type::Nullable(inner) => {
            has_parameter(inner)
        }
        Type::Map(key, value) => has_parameter(key) || has_parameter(value),
        Type::Opaque(_, parameters) => parameters.iter().any(has_parameter),
        _ => false,
    }
}

/// What expressions can see. Cloning it is cheap, and threads may share it.
///
/// Without declared variables every name is a variable of unknown type; with some, an unknown one is an error.
///
/// ```
/// use guardian_expr::{Env, Type};
///
/// let schema = serde_json::json!({
///     "type": "object",
///     "properties": {
///         "amount": {"type": "integer"},
///         "stage": {"type": "string"},
///         "tags": {"type": "array", "items": {"type": "string"}},
///     },
///     "required": ["amount", "stage"],
/// });
/// let env = Env::builder().schema("deal", &schema)?.build()?;
///
/// let program = env.compile("deal.amount >= 10000 && 'vip' in deal.tags")?;
/// assert_eq!(program.result_type(), &Type::Bool);
///
/// let error = env.compile("deal.stagee == 'won'").unwrap_err();
/// assert_eq!(error.faults()[0].hint.as_deref(), Some("did you mean `stage`?"));
/// # Ok::<(), guardian_expr::Error>(())
/// ```
#[derive(Clone)]
pub struct Env {
    pub(crate) declarations: Arc<Declarations>,
}

impl fmt::Debug for Env {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let declarations = &self.declarations;
        formatter
            .debug_struct("Env")
            .field("open", &declarations.open)
            .field("variables", &declarations.variables.len())
            .field("functions", &declarations.functions.len())
            .finish_non_exhaustive()
    }
}

impl Default for Env {
    fn default() -> Self {
        Self { declarations: Arc::clone(&STANDARD) }
    }
}

impl Env {
    /// The standard library, and every other name as a variable of unknown type.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares variables and functions beside the standard library.
    #[must_use]
    pub fn builder() -> EnvBuilder {
        EnvBuilder { declarations: (**STANDARD).clone(), open: None, error: None, declared: false }
    }

    /// Reads an expression without looking at what its names mean. O(length).
    ///
    /// # Errors
    ///
    /// A text that is no expression, or one beyond the limits.
    pub fn parse(&self, source: &str) -> Result<Ast, Error> {
        parser::parse(source, self.declarations.limits)
    }

    /// The type of an expression's value, `dyn` where it is not known before it runs. O(length).
    ///
    /// # Errors
    ///
    /// Like [`Self::compile`].
    pub fn check(&self, source: &str) -> Result<Type, Error> {
        Ok(self.check_ast(self.parse(source)?, false)?.result)
    }

    /// Reads and checks an expression and prepares it to run. O(length).
    ///
    /// # Errors
    ///
    /// A text that is no expression, one beyond the limits, an unknown name, or an operator or function on types that it
    /// is not defined for.
    pub fn compile(&self, source: &str) -> Result<Program, Error> {
        self.compile_ast(self.parse(source)?)
    }

    /// Checks and prepares an expression that was parsed.
    ///
    /// # Errors
    ///
    /// Like [`Self::compile`].
    pub fn compile_ast(&self, ast: Ast) -> Result<Program, Error> {
        let checked = self.check_ast(ast, false)?;
        Ok(Program::new(self, checked, false))
    }

    /// Prepares an expression without a check: every fault is met when it runs.
    ///
    /// # Errors
    ///
    /// A text that is no expression, or one beyond the limits.
    pub fn compile_unchecked(&self, source: &str) -> Result<Program, Error> {
        let checked = self.check_ast(self.parse(source)?, true)?;
        Ok(Program::new(self, checked, false))
    }

    pub(crate) fn check_ast(&self, ast: Ast, lenient: bool) -> Result<Checked, Error> {
        check::check(&self.declarations, ast, lenient)
    }

    /// The limits of the parser.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.declarations.limits
    }
}

/// Makes an [`Env`]. Faults of the declarations are reported by [`Self::build`].
#[derive(Clone)]
pub struct EnvBuilder {
    declarations: Declarations,
    open: Option<bool>,
    error: Option<Error>,
    declared: bool,
}

impl fmt::Debug for EnvBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EnvBuilder").field("error", &self.error).finish_non_exhaustive()
    }
}

impl EnvBuilder {
    /// Declares a variable. Its name may have dots, as in `request.auth`.
    #[must_use]
    pub fn variable(mut self, name: &str, r#type: impl Into<Type>) -> Self {
        if !name.split('.').all(crate::lexer::is_word) {
            self.error.get_or_insert_with(|| Error::plain(format!("`{name}` is no name of a variable")));
            return self;
        }
        let id = self.declarations.types.add(&r#type.into());
        self.declarations.declare(name, id, false);
        self.declared = true;
        self
    }

    /// Declares a variable of a type of Rust.
    #[must_use]
    pub fn variable_of<T: crate::types::ExprType + ?Sized>(self, name: &str) -> Self {
        self.variable(name, T::expr_type())
    }

    /// Declares a variable that holds JSON of this schema.
    ///
    /// # Errors
    ///
    /// A schema that is no schema.
    pub fn schema(self, name: &str, schema: &Json) -> Result<Self, Error> {
        let r#type = schema::type_of(name, schema)?;
        Ok(self.variable(name, r#type))
    }

    /// Declares each property of the schema of an object as a variable.
    ///
    /// # Errors
    ///
    /// A schema that is no schema, or not one of an object.
    pub fn event_schema(mut self, schema: &Json) -> Result<Self, Error> {
        let Type::Object(event) = schema::type_of("event", schema)? else {
            return Err(Error::plain("the schema of an event is one of an object with `properties`"));
        };
        for (name, field) in &event.fields {
            self = self.variable(name, field.r#type.clone());
        }
        Ok(self)
    }

    /// Adds a function of the host. One with the name of a function of the standard library adds an overload to it.
    #[must_use]
    pub fn function(mut self, mut function: HostFunction) -> Self {
        match function.signature.parse::<Signature>() {
            Ok(signature) => {
                function.parameters.clone_from(&signature.parameters);
                self.declarations.add_overload(&signature, None, Some(Arc::new(function)));
            }
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
        self
    }

    /// Names are looked up in this namespace first: in `com.example`, `x` may mean `com.example.x`.
    #[must_use]
    pub fn container(mut self, container: &str) -> Self {
        container.clone_into(&mut self.declarations.container);
        self
    }

    /// Whether a variable that is not declared is one of unknown type. Where this is not said, it is if none is declared.
    #[must_use]
    pub fn open(mut self, open: bool) -> Self {
        self.open = Some(open);
        self
    }

    /// With other limits of the parser.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.declarations.limits = limits;
        self
    }

    /// The environment.
    ///
    /// # Errors
    ///
    /// The first declaration that was faulty.
    pub fn build(mut self) -> Result<Env, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.declarations.open = self.open.unwrap_or(!self.declared);
        Ok(Env { declarations: Arc::new(self.declarations) })
    }
}

/// The type that a variable gets where nothing is known.
pub(crate) const UNKNOWN: TypeId = DYN;
