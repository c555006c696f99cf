//! How rows stand on the wire, in the text and in the binary protocol.

use super::packets::{put_lenenc_bytes, put_lenenc_int};
use crate::fake::value::{Column, Kind, Value};

/// A row of the text protocol.
pub(crate) fn text_row(row: &[Value]) -> Vec<u8> {
    let mut body = Vec::new();
    for value in row {
        match value.as_text() {
            Some(text) => put_lenenc_bytes(&mut body, &text),
            None => body.push(0xfb),
        }
    }
    body
}

/// A row of the binary protocol: a bitmap of the NULLs, then the values as the columns' types want
/// them.
pub(crate) fn binary_row(columns: &[Column], row: &[Value]) -> Vec<u8> {
    // The first two bits of a row's bitmap are reserved.
    const OFFSET: usize = 2;
    let mut nulls = vec![0u8; (row.len() + OFFSET).div_ceil(8)];
    let mut values = Vec::new();
    for (i, (column, value)) in columns.iter().zip(row).enumerate() {
        match (column.kind, value) {
            (_, Value::Null) => nulls[(i + OFFSET) / 8] |= 1 << ((i + OFFSET) % 8),
            (Kind::Int, Value::Int(v)) => values.extend(v.to_le_bytes()),
            (Kind::UInt, Value::UInt(v)) => values.extend(v.to_le_bytes()),
            (Kind::Float, Value::Float(v)) => values.extend(v.to_le_bytes()),
            (Kind::Double, Value::Double(v)) => values.extend(v.to_le_bytes()),
            (_, other) => match other.as_text() {
                Some(text) => put_lenenc_bytes(&mut values, &text),
                None => put_lenenc_int(&mut values, 0),
            },
        }
    }
    let mut body = vec![0x00];
    body.extend(nulls);
    body.extend(values);
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::value::ResultSet;

    #[test]
    fn nulls_of_a_binary_row_start_at_the_third_bit() {
        let set = ResultSet::new(
            vec!["a".into(), "b".into()],
            vec![vec![Value::Null, 7.into()]],
        );
        let body = binary_row(&set.columns, &set.rows[0]);
        assert_eq!(body, [0, 0b100, 7, 0, 0, 0, 0, 0, 0, 0]);
    }
}
