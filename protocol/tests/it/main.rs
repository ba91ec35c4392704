//! The protocol as documents and other implementations see it: golden vectors, malformed input, and the written tables.

#[cfg(test)]
mod document;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod malformed;
#[cfg(test)]
mod spellings;
#[cfg(test)]
mod values;
#[cfg(test)]
mod vectors;
