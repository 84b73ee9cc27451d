//! Who is asking, how they prove it, and what they may.
//!
//! [`keys`], [`token`], [`password`], [`bucket`] and [`throttle`] are primitives: they know no database and no HTTP; time
//! is an argument. [`policy`] holds every permission and who a person is, [`scope`] what a token is limited to. [`session`]
//! holds sign-ins that last, [`personal`] what scripts come in with, [`oidc`] identity providers, [`invitation`] how
//! somebody comes to a password; [`watch`] picks up keys that change. [`extract`] puts a permission into a handler's
//! signature; [`authority`] explains to administrators what somebody may do.
pub mod authority;
pub mod bucket;
pub mod extract;
pub mod http;
pub mod invitation;
pub mod keys;
pub mod oidc;
pub mod password;
pub mod personal;
pub mod policy;
pub mod scope;
pub mod session;
pub mod throttle;
pub mod token;
pub mod watch;
