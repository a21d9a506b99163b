//! Opaque cursors: where a page over an index ended, as the values of its columns and the key.

use data_encoding::BASE64URL_NOPAD;
use nexus_core::record::Value;

/// Packs the values (the key last) into a text that is safe in a URL.
pub(crate) fn encode(values: &[Value]) -> String {
    let mut out = Vec::with_capacity(16 * values.len());
    for value in values {
        match value {
            Value::Null => out.push(0),
            Value::Text(text) => {
                out.push(1);
                out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Value::Int(n) => {
                out.push(2);
                out.extend_from_slice(&n.to_be_bytes());
            }
            Value::Float(x) => {
                out.push(3);
                out.extend_from_slice(&x.to_bits().to_be_bytes());
            }
            Value::Bool(b) => out.push(4 + u8::from(*b)),
        }
    }
    BASE64URL_NOPAD.encode(&out)
}

/// Reads back what [`encode`] made; `None` for anything else.
pub(crate) fn decode(text: &str) -> Option<Vec<Value>> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let mut rest = bytes.as_slice();
    let mut values = Vec::new();
    while let Some((tag, tail)) = rest.split_first() {
        rest = tail;
        values.push(match tag {
            0 => Value::Null,
            1 => {
                let length = u32::from_be_bytes(take(&mut rest)?);
                let (text, tail) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                rest = tail;
                Value::Text(std::str::from_utf8(text).ok()?.to_owned())
            }
            2 => Value::Int(i64::from_be_bytes(take(&mut rest)?)),
            3 => Value::Float(f64::from_bits(u64::from_be_bytes(take(&mut rest)?))),
            4 => Value::Bool(false),
            5 => Value::Bool(true),
            _ => return None,
        });
    }
    Some(values)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_a_cut_one_is_refused() {
        let values =
            vec![Value::Null, "ä key".into(), Value::Int(-7), Value::Float(0.5), Value::Bool(true), Value::Bool(false)];
        let text = encode(&values);
        assert_eq!(decode(&text), Some(values));
        assert_eq!(decode("AQAAAP8"), None);
        assert_eq!(decode("not a cursor"), None);
    }
}
