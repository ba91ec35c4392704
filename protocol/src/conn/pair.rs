//! Both ends against each other.
