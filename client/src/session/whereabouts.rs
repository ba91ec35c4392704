//! On which hub a session is, by what is remembered here of the rooms of this data folder's users.

use std::fs;
use std::path::Path;

use protocol::id::RoomId;
use protocol::key::{HubId, UserId};
use protocol::statement::RoomKind;

use super::Thing;
use super::select::{Named, select};
use crate::files::FileError;
use crate::local_hub::LocalHub;
use crate::seat::{InUse, KnownHubs, RoomMemory, SeatError};

/// Returns the session that `selector` names by the beginning of its id or by its topic, and the hub on which it is, so that it
/// can be gone back to from elsewhere. `None` where nothing is remembered of it, or several could be meant: then the hub that
/// is used says what there is. `version` is this program's.
///
/// # Errors
/// [`SeatError`] when a file of ours cannot be read or is damaged.
pub fn whereabouts(data: &Path, version: &str, selector: &str) -> Result<Option<InUse>, SeatError> {
    let mut all = Vec::new();
    for (user, room) in remembered(data)? {
        let Some(state) = RoomMemory::open(data, &user, room)?.load()? else { continue };
        let Some(genesis) = state.genesis().and_then(|genesis| genesis.clone().verify().ok()) else {
            continue;
        };
        if genesis.statement().kind == RoomKind::Session {
            let name = state.topic().map(str::to_owned);
            all.push(Named { of: (room, genesis.statement().hub), id: room.to_string(), words: None, name });
        }
    }
    let Ok((room, hub)) = select(Thing::Session, selector, all) else { return Ok(None) };
    Ok(origin(data, version, hub)?.map(|origin| InUse { origin, room }))
}

/// Lists the rooms of which something is remembered; names that are not ours are left alone.
fn remembered(data: &Path) -> Result<Vec<(UserId, RoomId)>, SeatError> {
    let mut rooms = Vec::new();
    for user in names(&data.join("rooms"))? {
        let Ok(id) = user.parse::<UserId>() else { continue };
        let files = names(&data.join("rooms").join(&user))?;
        let ids = files.iter().filter_map(|file| file.strip_suffix(".json")?.parse::<RoomId>().ok());
        rooms.extend(ids.map(|room| (id, room)));
    }
    Ok(rooms)
}

fn names(folder: &Path) -> Result<Vec<String>, SeatError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(FileError::io("read", folder))?,
    };
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// Returns where the hub with this key is: under the name by which it was met, or on this machine.
fn origin(data: &Path, version: &str, hub: HubId) -> Result<Option<String>, SeatError> {
    if let Some(origin) = KnownHubs::in_data(data).origin(hub)? {
        return Ok(Some(origin));
    }
    let local = LocalHub::new(data, version, None).record()?;
    Ok(local.filter(|record| record.hub_key == hub).map(|_| "local".to_owned()))
}
