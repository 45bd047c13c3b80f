//! Structures are written with the names of their fields: serde by itself takes a list of their values in JSON too, which
//! no schema tells of and which means something else as soon as a field is added.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A structure that is read from named fields only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Named<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_map(Fields(PhantomData))
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = Named<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("named fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Named<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Named)
    }
}

/// For a field that is such a structure: `#[serde(deserialize_with = "named::one")]`.
pub(crate) fn one<'de, D: Deserializer<'de>, T: Deserialize<'de>>(reader: D) -> Result<T, D::Error> {
    Named::deserialize(reader).map(|Named(it)| it)
}

/// For a field that is a list of such structures: `#[serde(deserialize_with = "named::list")]`.
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(reader: D) -> Result<Vec<T>, D::Error> {
    let list = Vec::<Named<T>>::deserialize(reader)?;
    Ok(list.into_iter().map(|Named(it)| it).collect())
}

/// For a field that may be such a structure: `#[serde(default, deserialize_with = "named::option")]`.
pub(crate) fn option<'de, D: Deserializer<'de>, T: Deserialize<'de>>(reader: D) -> Result<Option<T>, D::Error> {
    Option::<Named<T>>::deserialize(reader).map(|it| it.map(|Named(it)| it))
}
