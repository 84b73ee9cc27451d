//! Who is asking, and how they prove it: the keys that sign, access tokens, passwords, and the brake on guessing them.
//!
//! These are primitives: they know no database, no HTTP and, but for the birth date of a new key, no clock; time is an
//! argument. Sessions, principals and permissions are built on top of them.
pub mod keys;
pub mod password;
pub mod throttle;
pub mod token;
