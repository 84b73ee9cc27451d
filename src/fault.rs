//! What is wrong with an input: every fault at once, each with a JSON pointer (RFC 6901), a stable code and a sentence.
//!
//! Bodies are read by `deserr`, which goes on after a fault, into types that carry their own rules ([`Text`],
//! [`Bounded`], [`List`], [`Change`]). Pure: no HTTP, no storage.
use deserr::{
    DeserializeError, Deserr, ErrorKind, IntoValue, MergeWithError, Sequence, Value, ValueKind, ValuePointerRef,
};
use serde::Serialize;
use std::{borrow::Cow, convert::Infallible, ops::ControlFlow, str::FromStr};
use utoipa::{
    __dev::ComposeSchema,
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ArrayBuilder, ObjectBuilder, Schema, Type},
    },
};

/// One fault of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// Where in the body, as a JSON pointer; absent for a fault of a parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000, example = "/conditions/0/mesh")]
    pub pointer: Option<String>,
    /// Which query or path parameter; absent for a fault of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100, example = "limit")]
    pub parameter: Option<String>,
    /// A stable code, for programs.
    #[schema(max_length = 60, example = "invalid_format")]
    pub code: &'static str,
    /// A sentence, for people.
    #[schema(max_length = 1000, example = "must be a MeSH descriptor id such as D000690")]
    pub message: String,
}

/// The most faults one answer names: a body made of nothing else must not be answered at length.
pub const FAULT_LIMIT: usize = 100;

/// Every fault of one request, in the order they were met; the first [`FAULT_LIMIT`] of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// One fault at a JSON pointer.
    pub fn at(pointer: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        let mut faults = Self::default();
        faults.push(pointer, code, message);
        faults
    }
    /// Adds a fault at a JSON pointer.
    pub fn push(&mut self, pointer: impl Into<String>, code: &'static str, message: impl Into<String>) {
        if self.0.len() < FAULT_LIMIT {
            self.0.push(Fault { pointer: Some(pointer.into()), parameter: None, code, message: message.into() });
        }
    }
    /// Adds a fault of a parameter.
    pub fn push_parameter(&mut self, name: impl Into<String>, code: &'static str, message: impl Into<String>) {
        if self.0.len() < FAULT_LIMIT {
            self.0.push(Fault { pointer: None, parameter: Some(name.into()), code, message: message.into() });
        }
    }
    /// `Ok` when there is none.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
    /// The same faults, their pointers put under `prefix`.
    pub fn under(mut self, prefix: &str) -> Self {
        for fault in &mut self.0 {
            if let Some(pointer) = &mut fault.pointer {
                pointer.insert_str(0, prefix);
            }
        }
        self
    }
}

/// The pointer of a member in its object. A name that somebody made up may have any length: what is told of it has not.
pub fn member(name: &str) -> String {
    format!("/{}", shortened(name).replace('~', "~0").replace('/', "~1"))
}

/// The most characters of a made-up name that an answer tells.
const TOLD: usize = 60;

fn shortened(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(TOLD) {
        Some((end, _)) => format!("{}…", &name[..end]).into(),
        None => name.into(),
    }
}

/// The JSON pointer of a place deserr names.
pub fn pointer(location: ValuePointerRef<'_>) -> String {
    match location {
        ValuePointerRef::Origin => String::new(),
        ValuePointerRef::Key { key, prev } => {
            format!("{}{}", pointer(*prev), member(key))
        }
        ValuePointerRef::Index { index, prev } => format!("{}/{index}", pointer(*prev)),
    }
}

const fn kind_name(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Null => "null",
        ValueKind::Boolean => "a boolean",
        ValueKind::Integer => "a non-negative integer",
        ValueKind::NegativeInteger => "a negative integer",
        ValueKind::Float => "a number",
        ValueKind::String => "a string",
        ValueKind::Sequence => "an array",
        ValueKind::Map => "an object",
    }
}

impl MergeWithError<Self> for Faults {
    fn merge(own: Option<Self>, other: Self, _: ValuePointerRef<'_>) -> ControlFlow<Self, Self> {
        let mut faults = own.unwrap_or_default();
        faults.0.extend(other.0);
        if faults.0.len() < FAULT_LIMIT {
            return ControlFlow::Continue(faults);
        }
        faults.0.truncate(FAULT_LIMIT);
        ControlFlow::Break(faults)
    }
}

impl MergeWithError<Infallible> for Faults {
    fn merge(_: Option<Self>, other: Infallible, _: ValuePointerRef<'_>) -> ControlFlow<Self, Self> {
        match other {}
    }
}

impl DeserializeError for Faults {
    fn error<V: IntoValue>(
        own: Option<Self>,
        error: ErrorKind<'_, V>,
        location: ValuePointerRef<'_>,
    ) -> ControlFlow<Self, Self> {
        let mut faults = own.unwrap_or_default();
        let at = pointer(location);
        match error {
            ErrorKind::IncorrectValueKind { actual, accepted } => {
                let accepted: Vec<_> = accepted.iter().map(|k| kind_name(*k)).collect();
                faults.push(
                    at,
                    "wrong_type",
                    format!("must be {}, not {}", accepted.join(" or "), kind_name(actual.kind())),
                );
            }
            ErrorKind::MissingField { field } => {
                faults.push(format!("{at}/{field}"), "required", "is required");
            }
            ErrorKind::UnknownKey { key, accepted } => {
                let at = pointer(location.push_key(key));
                faults.push(at, "unknown_field", format!("is not a field here; known fields: {}", accepted.join(", ")));
            }
            ErrorKind::UnknownValue { value, accepted } => {
                faults.push(
                    at,
                    "unknown_value",
                    format!("`{}` is not one of {}", shortened(value), accepted.join(", ")),
                );
            }
            ErrorKind::BadSequenceLen { actual, expected } => {
                faults.push(at, "wrong_length", format!("must have {expected} members, not {}", actual.len()));
            }
            ErrorKind::Unexpected { msg } => faults.push(at, "invalid", msg),
        }
        if faults.0.len() < FAULT_LIMIT { ControlFlow::Continue(faults) } else { ControlFlow::Break(faults) }
    }
}

/// The fault of a value of the wrong JSON type.
pub fn wrong_type<V: IntoValue>(value: Value<V>, expected: &str, location: ValuePointerRef<'_>) -> Faults {
    Faults::at(pointer(location), "wrong_type", format!("must be {expected}, not {}", kind_name(value.kind())))
}

/// Reads a string and parses it; a bad one is `unknown_value` or `invalid_format`, as [`CodeOf`] says.
pub fn parse_string<T, V>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<T, Faults>
where
    T: FromStr,
    T::Err: CodeOf,
    V: IntoValue,
{
    match value {
        Value::String(text) => text.parse().map_err(|e: T::Err| Faults::at(pointer(location), e.code(), e.to_string())),
        other => Err(wrong_type(other, "a string", location)),
    }
}

/// The fault code that belongs to a parse error.
pub trait CodeOf: std::fmt::Display {
    /// A code of the table in `docs/api.md`.
    fn code(&self) -> &'static str {
        "invalid_format"
    }
}
impl CodeOf for crate::vocabulary::UnknownValue {
    fn code(&self) -> &'static str {
        "unknown_value"
    }
}

/// Text of `MIN` to `MAX` Unicode scalar values, without NUL; where one is required, not only white space.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text<const MIN: usize, const MAX: usize>(pub String);

/// A title or a name.
pub type Title = Text<1, 300>;
/// A long text, Markdown where the field says so; may be empty.
pub type LongText = Text<0, 20000>;
/// A reason or a message.
pub type Reason = Text<1, 2000>;

/// Why a text does not fit, with its code.
pub fn check_text(text: &str, min: usize, max: usize) -> Result<(), (&'static str, String)> {
    let length = text.chars().count();
    if text.contains('\0') {
        Err(("invalid_character", "must not contain NUL".into()))
    } else if length > max {
        Err(("too_long", format!("must be at most {max} characters long, is {length}")))
    } else if length < min {
        Err(("too_short", format!("must be at least {min} characters long")))
    } else if min > 0 && text.trim().is_empty() {
        Err(("too_short", "must not be blank".into()))
    } else {
        Ok(())
    }
}

impl<const MIN: usize, const MAX: usize> Deserr<Faults> for Text<MIN, MAX> {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Faults> {
        match value {
            Value::String(text) => match check_text(&text, MIN, MAX) {
                Ok(()) => Ok(Self(text)),
                Err((code, message)) => Err(Faults::at(pointer(location), code, message)),
            },
            other => Err(wrong_type(other, "a string", location)),
        }
    }
}
impl<const MIN: usize, const MAX: usize> ComposeSchema for Text<MIN, MAX> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).min_length((MIN > 0).then_some(MIN)).max_length(Some(MAX)).into()
    }
}
impl<const MIN: usize, const MAX: usize> ToSchema for Text<MIN, MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("Text{MIN}To{MAX}").into()
    }
}
impl<const MIN: usize, const MAX: usize> From<Text<MIN, MAX>> for String {
    fn from(text: Text<MIN, MAX>) -> Self {
        text.0
    }
}

/// An integer from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded<const MIN: i64, const MAX: i64>(pub i64);

impl<const MIN: i64, const MAX: i64> Deserr<Faults> for Bounded<MIN, MAX> {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Faults> {
        let number = match value {
            Value::Integer(n) => i64::try_from(n).ok(),
            Value::NegativeInteger(n) => Some(n),
            other => return Err(wrong_type(other, "an integer", location)),
        };
        number
            .filter(|n| (MIN..=MAX).contains(n))
            .map(Self)
            .ok_or_else(|| Faults::at(pointer(location), "out_of_range", format!("must be from {MIN} to {MAX}")))
    }
}
impl<const MIN: i64, const MAX: i64> ComposeSchema for Bounded<MIN, MAX> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(MIN as f64)).maximum(Some(MAX as f64)).into()
    }
}
impl<const MIN: i64, const MAX: i64> ToSchema for Bounded<MIN, MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("Integer{MIN}To{MAX}").into()
    }
}

/// The greatest magnitude a [`Number`] has.
const NUMBER_LIMIT: f64 = 1e15;

/// A number from -10¹⁵ to 10¹⁵.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(pub f64);

impl Deserr<Faults> for Number {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Faults> {
        let number = match value {
            Value::Integer(n) => n as f64,
            Value::NegativeInteger(n) => n as f64,
            Value::Float(n) => n,
            other => return Err(wrong_type(other, "a number", location)),
        };
        if number.abs() <= NUMBER_LIMIT {
            Ok(Self(number))
        } else {
            let message = format!("must be from -{NUMBER_LIMIT:e} to {NUMBER_LIMIT:e}");
            Err(Faults::at(pointer(location), "out_of_range", message))
        }
    }
}
impl ComposeSchema for Number {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Number).minimum(Some(-NUMBER_LIMIT)).maximum(Some(NUMBER_LIMIT)).into()
    }
}
impl ToSchema for Number {}

/// The most members any list of a record has.
pub const LIST_LIMIT: usize = 100;

/// A list of at most `MAX` members; never null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T, const MAX: usize = LIST_LIMIT>(pub Vec<T>);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}
impl<T: Deserr<Faults>, const MAX: usize> Deserr<Faults> for List<T, MAX> {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Faults> {
        if let Value::Sequence(members) = &value
            && members.len() > MAX
        {
            let message = format!("must have at most {MAX} members, has {}", members.len());
            return Err(Faults::at(pointer(location), "too_many", message));
        }
        Vec::deserialize_from_value(value, location).map(Self)
    }
}
impl<T: PartialSchema, const MAX: usize> ComposeSchema for List<T, MAX> {
    fn compose(generics: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ArrayBuilder::new().items(first_or_own::<T>(generics)).max_items(Some(MAX)).into()
    }
}
impl<T: ToSchema, const MAX: usize> ToSchema for List<T, MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("ListOf{}", T::name()).into()
    }
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}

/// The schema that the derive found for a generic argument, else the argument's own.
fn first_or_own<T: PartialSchema>(generics: Vec<RefOr<Schema>>) -> RefOr<Schema> {
    generics.into_iter().next().unwrap_or_else(T::schema)
}

/// A member of a merge patch (RFC 7396): left alone, or set. A member that may be null is a `Change<Option<T>>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// The member was not in the patch.
    #[default]
    Keep,
    /// The member's new value.
    To(T),
}

impl<T> Change<T> {
    /// Puts the new value, if there is one, into `target`.
    pub fn apply<U: From<T>>(self, target: &mut U) {
        if let Self::To(value) = self {
            *target = value.into();
        }
    }
    /// The new value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Keep => None,
            Self::To(value) => Some(value),
        }
    }
}
impl<T> Change<Option<T>> {
    /// Puts the new value, or null, into `target`.
    pub fn apply_nullable<U: From<T>>(self, target: &mut Option<U>) {
        if let Self::To(value) = self {
            *target = value.map(Into::into);
        }
    }
}
impl<T: Deserr<Faults>> Deserr<Faults> for Change<T> {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Faults> {
        T::deserialize_from_value(value, location).map(Self::To)
    }
}
impl<T: PartialSchema> ComposeSchema for Change<T> {
    fn compose(generics: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        first_or_own::<T>(generics)
    }
}
impl<T: ToSchema> ToSchema for Change<T> {
    fn name() -> std::borrow::Cow<'static, str> {
        T::name()
    }
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}

/// Reads a JSON value into `T`, gathering every fault.
pub fn read<T: Deserr<Faults>>(value: serde_json::Value) -> Result<T, Faults> {
    deserr::deserialize(value)
}
