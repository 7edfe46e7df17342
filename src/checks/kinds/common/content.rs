//! What stands in a file or an answer.

/// Whether bytes hold a text somewhere.
pub(in crate::checks) fn holds(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|part| part == text)
}
