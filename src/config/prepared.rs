//! `[configs.NAME]` and `[secrets.NAME]`: files that are written before anything is started.

use super::source::diagnostic::Span;

/// One file, or all that is made of a directory of templates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreparedFile {
    /// `configs.NAME` or `secrets.NAME`.
    pub path: String,
    /// Where NAME stands.
    pub at: Span,
    /// Why it is not written today (`when_*`), if it is not.
    pub off: Option<String>,
    /// Whether it needs a variable that is not known yet: it is read again when that is.
    pub is_known: bool,
    /// Whether what is in it must not be shown.
    pub secret: bool,
    /// What is in it.
    pub source: FileSource,
    /// Where the key stands that says what is in it.
    pub source_at: Span,
    /// The names that are replaced; `None`: all, by Compose's rules.
    pub vars: Option<Vec<String>>,
    /// Where it is written; an absolute path.
    pub target: String,
    /// A name or a number; `None`: as it comes.
    pub uid: Option<String>,
    /// A name or a number; `None`: as it comes.
    pub gid: Option<String>,
    /// Permission bits; `None`: [`PreparedFile::mode`] has them.
    pub mode: Option<u32>,
    /// Whether a file that is there stays as it is.
    pub keep: bool,
}

impl PreparedFile {
    /// The permission bits of a file that is made.
    #[must_use]
    pub fn mode(&self) -> u32 {
        self.mode.unwrap_or(if self.secret { 0o400 } else { 0o644 })
    }
}

/// What is in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileSource {
    /// This text, expanded, once all that it needs is known.
    Content(Option<String>),
    /// What is in this file, or in each `*.template` of this directory.
    File(String),
    /// The value of this variable, as it is.
    Environment(String),
    /// Something random, made once.
    Generate(Generator),
}

/// What `generate` makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Generator {
    /// So many random bytes, in base64.
    Base64(usize),
    /// So many random bytes, as hexadecimal digits.
    Hex(usize),
    /// So many letters and digits.
    Alnum(usize),
    /// A random UUID (version 4).
    Uuid,
}

/// The longest secret that is generated, in bytes or characters.
const MAX_GENERATED: usize = 1024;

impl Generator {
    /// Reads `base64:32`, `hex:16`, `alnum:24` or `uuid`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let count = |digits: &str| digits.parse().ok().filter(|count| (1..=MAX_GENERATED).contains(count));
        let read = match text.split_once(':') {
            None if text == "uuid" => Some(Self::Uuid),
            Some(("base64", digits)) => count(digits).map(Self::Base64),
            Some(("hex", digits)) => count(digits).map(Self::Hex),
            Some(("alnum", digits)) => count(digits).map(Self::Alnum),
            _ => None,
        };
        read.ok_or_else(|| {
            format!(
                "expected \"base64:32\" or \"hex:16\" (random bytes), \"alnum:24\" (letters and digits), each up to {MAX_GENERATED}, or \"uuid\""
            )
        })
    }

    /// How many random bytes it takes at a time.
    #[must_use]
    pub fn needs(self) -> usize {
        match self {
            Self::Base64(count) | Self::Hex(count) => count,
            // Some are thrown away, so that all characters are equally likely.
            Self::Alnum(count) => 2 * count,
            Self::Uuid => 16,
        }
    }

    /// The text of these random bytes; `None`: too many had to be thrown away, and others are needed.
    #[must_use]
    pub fn text(self, random: &[u8]) -> Option<String> {
        match self {
            Self::Base64(_) => Some(base64(random)),
            Self::Hex(_) => Some(hex(random)),
            Self::Alnum(count) => {
                const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
                let even = random.iter().filter_map(|byte| LETTERS.get(usize::from(*byte >> 2)));
                let text: String = even.take(count).map(|letter| char::from(*letter)).collect();
                Some(text).filter(|text| text.len() == count)
            }
            Self::Uuid => {
                let mut bytes: [u8; 16] = random.try_into().ok()?;
                let [.., version, _, variant, _, _, _, _, _, _, _] = &mut bytes;
                *version = *version & 0x0f | 0x40;
                *variant = *variant & 0x3f | 0x80;
                let digits = hex(&bytes);
                let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits.get(part).unwrap_or(""));
                Some(parts.join("-"))
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16);
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(digit).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let all = chunk.iter().fold(0u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS.get((all >> (18 - 6 * place) & 63) as usize);
            let is_there = place <= chunk.len();
            text.push(digit.filter(|_| is_there).map_or('=', |digit| char::from(*digit)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, want) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), want);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfb]), "//77");
    }

    #[test]
    fn what_is_generated_has_its_form() {
        let random: Vec<u8> = (0..=255).collect();
        let of = |text: &str, count: usize| {
            let generator = Generator::parse(text).expect(text);
            generator.text(random.get(..count).expect("enough"))
        };
        assert_eq!(of("hex:3", 3).as_deref(), Some("000102"));
        assert_eq!(of("base64:3", 3).as_deref(), Some("AAEC"));
        assert_eq!(of("uuid", 16).as_deref(), Some("00010203-0405-4607-8809-0a0b0c0d0e0f"));
        let alnum = of("alnum:62", 256).expect("enough");
        assert_eq!(alnum.len(), 62);
        assert!(alnum.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(Generator::Alnum(2).text(&[255; 4]), None, "thrown away");
        for wrong in ["", "hex", "hex:", "hex:0", "hex:-1", "hex:1025", "uuid:4", "base32:5", "alnum: 5"] {
            assert!(Generator::parse(wrong).is_err(), "{wrong}");
        }
    }
}
