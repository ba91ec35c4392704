//! Functions that take any bytes at all and must neither panic nor break the promise they name, on stable Rust.
//!
//! Each has a folder of inputs in `corpus/`, which the tests replay with some mutations of them. With `TEST_EFFORT=long`
//! mutations go on for [`LONG_SECONDS`] a target, or as many as `FUZZ_SECONDS` says. What fails is printed in hex: put it
//! into the corpus, with the cure.

#[cfg(test)]
mod bundles;
#[cfg(test)]
mod connection;
#[cfg(test)]
mod mutator;
#[cfg(test)]
mod texts;

/// How long a target is tried with `TEST_EFFORT=long`, in seconds.
pub const LONG_SECONDS: u64 = 20;

#[cfg(test)]
mod tests {
    use crate::mutator::{corpus, try_out};
    use crate::{bundles, connection, texts};

    #[test]
    fn any_bytes_are_a_frame_of_a_client_or_an_error() {
        try_out("frame-client", 3000, &mut texts::frame_of_a_client);
    }

    #[test]
    fn any_bytes_are_a_frame_of_a_hub_or_an_error() {
        try_out("frame-hub", 3000, &mut texts::frame_of_a_hub);
    }

    #[test]
    fn any_signed_bytes_are_a_statement_or_an_error() {
        try_out("statement", 300, &mut texts::statement);
    }

    #[test]
    fn any_bytes_are_a_body_or_an_error() {
        try_out("body", 3000, &mut texts::body);
    }

    #[test]
    fn any_bytes_have_at_most_one_spelling() {
        try_out("spelling", 3000, &mut texts::spelling);
    }

    #[test]
    fn any_text_is_clean_after_cleaning() {
        try_out("clean", 3000, &mut texts::clean);
    }

    #[test]
    fn any_range_of_a_log_is_verified_or_refused() {
        try_out("range", 300, &mut texts::range);
    }

    #[test]
    fn any_request_to_join_and_any_admission_is_checked_or_refused() {
        try_out("admission", 500, &mut texts::admission);
    }

    #[test]
    fn any_packets_leave_both_ends_of_a_connection_within_their_limits() {
        try_out("connection", 500, &mut connection::both_ends);
    }

    #[test]
    fn any_bytes_are_a_header_of_a_bundle_or_an_error() {
        try_out("header", 3000, &mut bundles::header);
    }

    #[test]
    fn any_change_of_a_file_meets_rules_of_the_table() {
        try_out("surface", 3000, &mut bundles::surface);
    }

    #[test]
    fn the_bundles_of_the_corpus_go_in_so_that_their_mutations_go_far() {
        let receiver = bundles::Receiver::new();
        for (path, bytes) in corpus("import") {
            let is_other_format = path.ends_with("sha256");
            let outcome = receiver.offer(&bytes);
            assert_eq!(outcome.is_err(), is_other_format, "{}: {outcome:?}", path.display());
        }
    }

    #[test]
    fn any_bundle_is_imported_or_leaves_the_repository_as_it_was() {
        let receiver = bundles::Receiver::new();
        try_out("import", 60, &mut |bytes| receiver.import(bytes));
    }

    #[test]
    fn any_bundle_can_be_looked_at_outside_of_a_repository() {
        let receiver = bundles::Receiver::new();
        try_out("import", 60, &mut |bytes| receiver.preview(bytes));
    }
}
