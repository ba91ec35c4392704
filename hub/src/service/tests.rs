//! The service on a store in memory.
