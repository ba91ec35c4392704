//! Sessions: rooms with a key, in which the owner approves each joiner. What a hub says of one is checked before it is believed:
//! keys and requests by the owner's client, the admission by the joiner's, and the log by both, in [`crate::room`].

mod act;
mod error;
mod gate;
mod join;
mod keys;
mod looks;
mod open;
mod record;
mod rooms;
mod select;
mod talk;
mod user;
mod whereabouts;

pub use error::{SessionError, Thing};
pub use gate::{Asked, NotLetIn, Tended};
pub use join::{JoinOutcome, Joining};
pub use open::OpenSession;
pub(crate) use rooms::Choice;
pub use user::{export_user, import_user};
pub use whereabouts::whereabouts;
