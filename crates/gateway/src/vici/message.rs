//! A message of VICI: a tree of named values, lists and sections, and how it is written as bytes (strongSwan's
//! `src/libcharon/plugins/vici/README.md`, "Message encoding").

use super::Error;

/// How deep sections may lie in each other in what is read; strongSwan's own go four deep.
const DEEPEST: usize = 16;

const SECTION_START: u8 = 1;
const SECTION_END: u8 = 2;
const KEY_VALUE: u8 = 3;
const LIST_START: u8 = 4;
const LIST_ITEM: u8 = 5;
const LIST_END: u8 = 6;

/// A section: the whole message is one, too. Names may come more than once, and their order is kept.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Section(Vec<(String, Element)>);

/// What stands under a name.
#[derive(Clone, PartialEq, Eq)]
pub enum Element {
    /// A value; text nearly always, but certificates are bytes.
    Value(Vec<u8>),
    /// A list of values.
    List(Vec<Vec<u8>>),
    /// A section.
    Section(Section),
}

impl Section {
    /// An empty one.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// With one more value.
    #[must_use]
    pub fn value(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.0.push((name.to_owned(), Element::Value(value.as_ref().to_vec())));
        self
    }

    /// With one more list; one without items is left out.
    #[must_use]
    pub fn list<T: AsRef<[u8]>>(mut self, name: &str, items: impl IntoIterator<Item = T>) -> Self {
        let items: Vec<_> = items.into_iter().map(|item| item.as_ref().to_vec()).collect();
        if !items.is_empty() {
            self.0.push((name.to_owned(), Element::List(items)));
        }
        self
    }

    /// With one more section.
    #[must_use]
    pub fn section(mut self, name: &str, section: Self) -> Self {
        self.0.push((name.to_owned(), Element::Section(section)));
        self
    }

    /// The text of a value; absent where there is none of this name.
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.iter().find_map(|(its, element)| match element {
            Element::Value(value) if its == name => Some(String::from_utf8_lossy(value).into_owned()),
            _ => None,
        })
    }

    /// The number that a value is.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// The texts of a list; none where there is none of this name.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let list = self.0.iter().find_map(|(its, element)| match element {
            Element::List(items) if its == name => Some(items),
            _ => None,
        });
        list.into_iter().flatten().map(|item| String::from_utf8_lossy(item).into_owned()).collect()
    }

    /// All sections in it, by name.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.0.iter().filter_map(|(name, element)| match element {
            Element::Section(section) => Some((name.as_str(), section)),
            _ => None,
        })
    }

    /// A section in it.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.sections().find_map(|(its, section)| (its == name).then_some(section))
    }

    /// As bytes.
    ///
    /// # Errors
    /// When a name is longer than 255 bytes or a value longer than 65,535, which VICI cannot say.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.write(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        for (name, element) in &self.0 {
            match element {
                Element::Value(value) => {
                    bytes.push(KEY_VALUE);
                    write_name(bytes, name)?;
                    write_value(bytes, name, value)?;
                }
                Element::List(items) => {
                    bytes.push(LIST_START);
                    write_name(bytes, name)?;
                    for item in items {
                        bytes.push(LIST_ITEM);
                        write_value(bytes, name, item)?;
                    }
                    bytes.push(LIST_END);
                }
                Element::Section(section) => {
                    bytes.push(SECTION_START);
                    write_name(bytes, name)?;
                    section.write(bytes)?;
                    bytes.push(SECTION_END);
                }
            }
        }
        Ok(())
    }

    /// Reads what [`Section::encode`] writes.
    ///
    /// # Errors
    /// When the bytes are no message.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(bytes);
        let section = reader.section(DEEPEST, true)?;
        Ok(section)
    }
}

impl std::fmt::Debug for Section {
    /// Only names are shown: values may be keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl std::fmt::Debug for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Element(..)")
    }
}

fn write_name(bytes: &mut Vec<u8>, name: &str) -> Result<(), Error> {
    let length = u8::try_from(name.len()).map_err(|_| Error::TooLong(name.to_owned()))?;
    bytes.push(length);
    bytes.extend_from_slice(name.as_bytes());
    Ok(())
}

fn write_value(bytes: &mut Vec<u8>, name: &str, value: &[u8]) -> Result<(), Error> {
    let length = u16::try_from(value.len()).map_err(|_| Error::TooLong(name.to_owned()))?;
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(value);
    Ok(())
}

/// What is left to read.
struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn take(&mut self, length: usize) -> Result<&[u8], Error> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Error::Garbled)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        self.take(1)?.first().copied().ok_or(Error::Garbled)
    }

    fn name(&mut self) -> Result<String, Error> {
        let length = usize::from(self.byte()?);
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn value(&mut self) -> Result<Vec<u8>, Error> {
        let length = usize::from(self.byte()?) << 8 | usize::from(self.byte()?);
        Ok(self.take(length)?.to_vec())
    }

    fn section(&mut self, depth: usize, outermost: bool) -> Result<Section, Error> {
        let depth = depth.checked_sub(1).ok_or(Error::Garbled)?;
        let mut section = Section::new();
        while !(outermost && self.0.is_empty()) {
            let (name, element) = match self.byte()? {
                KEY_VALUE => (self.name()?, Element::Value(self.value()?)),
                LIST_START => (self.name()?, Element::List(self.list()?)),
                SECTION_START => (self.name()?, Element::Section(self.section(depth, false)?)),
                SECTION_END if !outermost => return Ok(section),
                _ => return Err(Error::Garbled),
            };
            section.0.push((name, element));
        }
        Ok(section)
    }

    fn list(&mut self) -> Result<Vec<Vec<u8>>, Error> {
        let mut items = Vec::new();
        loop {
            match self.byte()? {
                LIST_ITEM => items.push(self.value()?),
                LIST_END => return Ok(items),
                _ => return Err(Error::Garbled),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Section {
        let inner = Section::new().section("sub-section", Section::new().value("key2", "value2"));
        Section::new().value("key1", "value1").section("section1", inner).list("list1", ["item1", "item2"])
    }

    /// The example of strongSwan's README, as bytes.
    #[test]
    fn the_example_of_the_protocol() {
        let bytes = b"\x03\x04key1\x00\x06value1\x01\x08section1\x01\x0bsub-section\x03\x04key2\x00\x06value2\x02\x02\
                      \x04\x05list1\x05\x00\x05item1\x05\x00\x05item2\x06";
        assert_eq!(example().encode().unwrap(), bytes);
        let read = Section::decode(bytes).unwrap();
        assert!(read == example());
        assert_eq!(read.text("key1").as_deref(), Some("value1"));
        assert_eq!(read.texts("list1"), ["item1", "item2"]);
        assert!(read.child("section1").unwrap().child("sub-section").is_some());
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let whole = example().encode().unwrap();
        for end in 1..whole.len() {
            let cut = Section::decode(&whole[..end]);
            let legal_end = [14, 53].contains(&end);
            assert_eq!(cut.is_ok(), legal_end, "cut at {end}: {cut:?}");
        }
        let deep: Vec<u8> = b"\x01\x00".repeat(100);
        assert!(Section::decode(&deep).is_err());
        assert!(Section::decode(b"\x02").is_err());
        assert!(Section::decode(b"\x09").is_err());
    }

    #[test]
    fn what_is_too_long_is_said_with_its_name() {
        let long = Section::new().value("psk", vec![0; 65_536]).encode();
        assert!(long.unwrap_err().to_string().contains("psk"));
        assert!(Section::new().value(&"n".repeat(256), "").encode().is_err());
    }

    #[test]
    fn values_are_not_shown() {
        assert_eq!(format!("{:?}", Section::new().value("data", "swordfish")), "[\"data\"]");
    }
}
