//! Reading an object member by member, for types with a rule across members.
//!
//! `derive(Deserr)` runs such a rule only once every member is right; here a rule runs on what could be read, so that its
//! fault is reported beside the others.
use crate::fault::{Faults, pointer, wrong_type};
use deserr::{Deserr, IntoValue, Map, Value, ValuePointerRef};

/// The members of one object that have not been read yet, and the faults of those that have.
pub(super) struct Members<'l, M> {
    members: M,
    known: Vec<&'static str>,
    location: ValuePointerRef<'l>,
    faults: Faults,
}

impl<'l, M: Map> Members<'l, M> {
    /// The members of `value`, which must be an object.
    pub(super) fn of<V: IntoValue<Map = M>>(value: Value<V>, location: ValuePointerRef<'l>) -> Result<Self, Faults> {
        match value {
            Value::Map(members) => Ok(Self { members, known: Vec::new(), location, faults: Faults::default() }),
            other => Err(wrong_type(other, "an object", location)),
        }
    }

    /// A member that must be there. `None` when it is missing or wrong, which is then among the faults.
    pub(super) fn required<T: Deserr<Faults>>(&mut self, name: &'static str) -> Option<T> {
        let read = self.member(name);
        if read.is_none() {
            self.fault(name, "required", "is required");
        }
        read.flatten()
    }

    /// A member that may be missing or null.
    pub(super) fn optional<T: Deserr<Faults>>(&mut self, name: &'static str) -> Option<T> {
        self.member::<Option<T>>(name).flatten().flatten()
    }

    /// Adds a fault of the member `name`.
    pub(super) fn fault(&mut self, name: &str, code: &'static str, message: impl Into<String>) {
        self.faults.push(pointer(self.location.push_key(name)), code, message);
    }

    /// Ends the reading: whatever was not read is unknown. `Ok` when there is no fault.
    pub(super) fn finish(mut self) -> Result<(), Faults> {
        for (name, _) in self.members.into_iter() {
            let message = format!("is not a field here; known fields: {}", self.known.join(", "));
            self.faults.push(pointer(self.location.push_key(&name)), "unknown_field", message);
        }
        self.faults.into_result()
    }

    /// `None` when it is missing, `Some(None)` when it is wrong.
    fn member<T: Deserr<Faults>>(&mut self, name: &'static str) -> Option<Option<T>> {
        self.known.push(name);
        let value = self.members.remove(name)?.into_value();
        match T::deserialize_from_value(value, self.location.push_key(name)) {
            Ok(read) => Some(Some(read)),
            Err(faults) => {
                self.faults.0.extend(faults.0);
                Some(None)
            }
        }
    }
}
