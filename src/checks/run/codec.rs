//! A [`Finding`] as bytes, for the pipe between a helper process and rinit: a byte of flags, then texts, each
//! behind its length. Decoding is total: what a dying helper leaves behind is `None`, never a panic.

use crate::checks::Finding;

const OK: u8 = 1;
const MAY_CHANGE: u8 = 2;
const VALUE: u8 = 4;
const MENDABLE: u8 = 8;

/// Appends a finding.
pub fn encode(finding: &Finding, out: &mut Vec<u8>) {
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.push(
        flag(finding.ok, OK)
            | flag(finding.may_change, MAY_CHANGE)
            | flag(finding.value.is_some(), VALUE)
            | flag(finding.mendable, MENDABLE),
    );
    text(&finding.found, out);
    text(&finding.remedy, out);
    text(finding.value.as_deref().unwrap_or(""), out);
    length(finding.sets.len(), out);
    for (name, value) in &finding.sets {
        text(name, out);
        text(value, out);
    }
    for list in [&finding.unsets, &finding.warnings] {
        length(list.len(), out);
        list.iter().for_each(|one| text(one, out));
    }
}

/// Reads one finding, which takes all the bytes.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Finding> {
    let (flags, rest) = bytes.split_first()?;
    let mut reader = MessageReader { rest };
    let (found, remedy) = (reader.text()?, reader.text()?);
    let value = reader.text()?;
    let mut sets = Vec::new();
    for _ in 0..reader.length()? {
        sets.push((reader.text()?, reader.text()?));
    }
    let (unsets, warnings) = (reader.list()?, reader.list()?);
    reader.rest.is_empty().then_some(Finding {
        ok: flags & OK != 0,
        found,
        remedy,
        may_change: flags & MAY_CHANGE != 0,
        mendable: flags & MENDABLE != 0,
        value: (flags & VALUE != 0).then_some(value),
        sets,
        unsets,
        warnings,
    })
}

fn length(length: usize, out: &mut Vec<u8>) {
    out.extend(u32::try_from(length).unwrap_or(0).to_le_bytes());
}

fn text(text: &str, out: &mut Vec<u8>) {
    length(text.len(), out);
    out.extend(text.as_bytes());
}

struct MessageReader<'b> {
    rest: &'b [u8],
}

impl MessageReader<'_> {
    fn length(&mut self) -> Option<usize> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = self.length()?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        String::from_utf8(bytes.to_vec()).ok()
    }

    fn list(&mut self) -> Option<Vec<String>> {
        let mut list = Vec::new();
        for _ in 0..self.length()? {
            list.push(self.text()?);
        }
        Some(list)
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::*;

    fn full() -> Finding {
        Finding {
            ok: true,
            found: "föund".into(),
            remedy: String::new(),
            may_change: true,
            mendable: true,
            value: Some("v".repeat(70_000)),
            sets: vec![("A".into(), "1".into()), ("B".into(), String::new())],
            unsets: vec!["A_FILE".into()],
            warnings: vec!["w".into(), "x".into()],
        }
    }

    #[test]
    fn what_goes_in_comes_out() {
        for finding in
            [Finding::default(), full(), Finding { value: Some(String::new()), ..Finding::default() }]
        {
            let mut bytes = Vec::new();
            encode(&finding, &mut bytes);
            assert_eq!(decode(&bytes), Some(finding));
        }
    }

    #[test]
    fn anything_else_is_none() {
        let mut bytes = Vec::new();
        encode(&Finding { value: None, ..full() }, &mut bytes);
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), None, "{cut}");
        }
        bytes.push(0);
        assert_eq!(decode(&bytes), None);
        assert_eq!(decode(&[255; 64]), None);
        assert_eq!(decode(&[0, 2, 0, 0, 0, 0xff, 0xff]), None);
    }
}
