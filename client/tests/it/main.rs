//! The client against the real hub, over real sockets, files and database.

#[cfg(test)]
mod cast;
#[cfg(test)]
mod hub_thread;
#[cfg(test)]
mod local;
#[cfg(test)]
mod lossy;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod session;
#[cfg(test)]
mod session_again;
#[cfg(test)]
mod session_choice;
#[cfg(test)]
mod session_gate;
#[cfg(test)]
mod session_lies;
#[cfg(test)]
mod session_list;
#[cfg(test)]
mod session_unasked;
#[cfg(test)]
mod session_waiting;
