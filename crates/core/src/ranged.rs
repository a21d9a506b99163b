//! Whole numbers of a body that have bounds of their own, so that a refusal says those and not what a type could hold.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// For `#[serde(deserialize_with)]`: a whole number from `MIN` to `MAX`.
pub fn whole<'de, const MIN: u64, const MAX: u64, T, D>(d: D) -> Result<T, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    d.deserialize_u64(Bounded::<MIN, MAX, T>(PhantomData))
}

/// The same, or `null`; goes with `#[serde(default)]`.
pub fn maybe_whole<'de, const MIN: u64, const MAX: u64, D>(d: D) -> Result<Option<u64>, D::Error>
where
    D: Deserializer<'de>,
{
    d.deserialize_option(Maybe::<MIN, MAX>)
}

struct Bounded<const MIN: u64, const MAX: u64, T>(PhantomData<T>);

impl<const MIN: u64, const MAX: u64, T: TryFrom<u64>> Visitor<'_> for Bounded<MIN, MAX, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<T, E> {
        let fits = Some(n).filter(|n| (MIN..=MAX).contains(n)).and_then(|n| T::try_from(n).ok());
        fits.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(n), &self))
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<T, E> {
        match u64::try_from(n) {
            Ok(n) => self.visit_u64(n),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(n), &self)),
        }
    }
}

struct Maybe<const MIN: u64, const MAX: u64>;

impl<'de, const MIN: u64, const MAX: u64> Visitor<'de> for Maybe<MIN, MAX> {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        whole::<MIN, MAX, u64, D>(d).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use crate::wording::plain;

    #[derive(Debug, Deserialize)]
    struct Sample {
        #[serde(deserialize_with = "super::whole::<1, 65_535, _, _>")]
        port: u16,
        #[serde(default, deserialize_with = "super::maybe_whole::<1, 60, _>")]
        ttl: Option<u64>,
    }

    fn read(text: &str) -> Result<(u16, Option<u64>), String> {
        let sample = serde_json::from_str::<Sample>(text);
        sample.map(|s| (s.port, s.ttl)).map_err(|e| plain(&e.to_string()))
    }

    #[test]
    fn numbers_within_the_bounds_are_read_and_null_is_none() {
        assert_eq!(read(r#"{"port": 1}"#), Ok((1, None)));
        assert_eq!(read(r#"{"port": 65535, "ttl": null}"#), Ok((65_535, None)));
        assert_eq!(read(r#"{"port": 80, "ttl": 60}"#), Ok((80, Some(60))));
    }

    #[test]
    fn a_refusal_says_the_bounds() {
        for bad in ["0", "65536", "-1", "1.5", "1e3"] {
            let said = read(&format!(r#"{{"port": {bad}}}"#)).expect_err(bad);
            assert!(said.starts_with("must be a whole number from 1 to 65535, not "), "{bad}: {said}");
        }
        assert_eq!(read(r#"{"port": "1"}"#), Err("must be a whole number from 1 to 65535, not the text \"1\"".into()));
        for bad in ["0", "61", "-1", "18446744073709551616", "[]"] {
            let said = read(&format!(r#"{{"port": 1, "ttl": {bad}}}"#)).expect_err(bad);
            assert!(said.starts_with("must be a whole number from 1 to 60, not "), "{bad}: {said}");
        }
    }
}
