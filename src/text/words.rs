//! Closed lists of words (`restart = "always"`): a table for each type, searched by one function.

/// A type that is written as one of a few words.
pub trait Word: Copy + 'static {
    /// The words.
    const NAMES: &'static [&'static str];
    /// What each means.
    const VALUES: &'static [Self];
}

/// `words!(Type { "word" => Variant, … })`
macro_rules! words {
    ($type:ident { $($name:literal => $variant:ident),+ $(,)? }) => {
        impl $crate::text::words::Word for $type {
            const NAMES: &'static [&'static str] = &[$($name),+];
            const VALUES: &'static [Self] = &[$(Self::$variant),+];
        }
    };
}

pub(crate) use words;
