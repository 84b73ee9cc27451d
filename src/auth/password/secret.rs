//! A password as it was typed, and what a new one must be.
use crate::fault::{Faults, check_text, pointer, wrong_type};
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};
use std::fmt;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type},
    },
};

/// The shortest new password, in Unicode scalar values.
pub const SHORTEST_PASSWORD: usize = 12;
/// The longest password, in Unicode scalar values.
pub const LONGEST_PASSWORD: usize = 1024;

/// A password as somebody typed it: 1 to 1 024 Unicode scalar values without NUL when read from a body. Never printed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text itself. Every use of this is a place to look at twice.
    pub fn expose(&self) -> &str {
        &self.0
    }
}
impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
impl Deserr<Faults> for Secret {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef<'_>) -> Result<Self, Faults> {
        match value {
            Value::String(text) => match check_length(&text, 1) {
                Ok(()) => Ok(Self(text)),
                Err((code, message)) => Err(Faults::at(pointer(location), code, message)),
            },
            other => Err(wrong_type(other, "a string", location)),
        }
    }
}
impl PartialSchema for Secret {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
            .min_length(Some(1))
            .max_length(Some(LONGEST_PASSWORD))
            .write_only(true)
            .into()
    }
}
impl ToSchema for Secret {}

/// Whether a *new* password may be taken: 12 to 1 024 Unicode scalar values, no NUL, and no rule on what it is composed of
/// (NIST SP 800-63B). Gives the fault's code and sentence otherwise. Existing passwords are never held against it.
///
/// # Errors
/// `too_short`, `too_long` or `invalid_character`, with a sentence that does not repeat the password.
pub fn check_policy(password: &Secret) -> Result<(), (&'static str, String)> {
    check_length(&password.0, SHORTEST_PASSWORD)
}

/// As [`check_text`], except that blanks count like any character.
fn check_length(text: &str, min: usize) -> Result<(), (&'static str, String)> {
    check_text(text, 0, LONGEST_PASSWORD)?;
    if text.chars().count() < min {
        return Err(("too_short", format!("must be at least {min} characters long")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::read;
    use serde_json::json;

    fn secret(text: &str) -> Secret {
        Secret::from(text.to_owned())
    }

    #[test]
    fn a_new_password_has_a_length_and_nothing_else() {
        for good in ["            ", "aaaaaaaaaaaa", "пароль-пароль", &"🔑".repeat(12), &"x".repeat(1024)]
        {
            assert_eq!(check_policy(&secret(good)), Ok(()));
        }
        for (bad, code) in [
            (String::new(), "too_short"),
            ("elevenchars".into(), "too_short"),
            ("🔑".repeat(11), "too_short"),
            ("x".repeat(1025), "too_long"),
            ("with a NUL \0 inside".into(), "invalid_character"),
        ] {
            assert_eq!(check_policy(&Secret(bad)).unwrap_err().0, code);
        }
    }

    #[test]
    fn a_secret_is_read_strictly_and_never_printed() {
        let read_code = |value| read::<Secret>(value).unwrap_err().0[0].code;
        assert_eq!(read::<Secret>(json!("short")).unwrap().expose(), "short");
        assert_eq!(read_code(json!("")), "too_short");
        assert_eq!(read_code(json!("x".repeat(1025))), "too_long");
        assert_eq!(read_code(json!("a\0b")), "invalid_character");
        assert_eq!(read_code(json!(7)), "wrong_type");
        assert_eq!(format!("{:?}", secret("hunter2")), "Secret(…)");
    }

    #[test]
    fn the_schema_is_a_password_that_is_only_written() {
        let schema = serde_json::to_value(Secret::schema()).unwrap();
        let expected =
            json!({ "type": "string", "format": "password", "minLength": 1, "maxLength": 1024, "writeOnly": true });
        assert_eq!(schema, expected);
    }
}
