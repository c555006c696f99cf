//! Prepared statements: what the server keeps of each, and how it reads the parameters of an
//! execution.

use std::collections::HashMap;

use super::packets::{Reader, field};
use crate::fake::value::Value;

const UNSIGNED: u8 = 0x80;

/// A statement that a client has prepared on its connection.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) text: String,
    parameters: usize,
    /// Type and flags of each parameter, from the last execution that gave them.
    types: Vec<[u8; 2]>,
    /// Parameters that came ahead, in pieces.
    long_data: HashMap<usize, Vec<u8>>,
}

impl Prepared {
    pub(crate) fn new(text: String, parameters: usize) -> Prepared {
        Prepared {
            text,
            parameters,
            types: Vec::new(),
            long_data: HashMap::new(),
        }
    }

    /// COM_STMT_RESET: forgets the parameters that came ahead.
    pub(crate) fn reset(&mut self) {
        self.long_data.clear();
    }

    /// COM_STMT_SEND_LONG_DATA: a piece of one parameter.
    pub(crate) fn add_long_data(&mut self, parameter: usize, piece: &[u8]) {
        self.long_data
            .entry(parameter)
            .or_default()
            .extend_from_slice(piece);
    }

    /// Reads COM_STMT_EXECUTE after the statement's id; `None` if it is malformed.
    pub(crate) fn values(&mut self, body: &[u8]) -> Option<Vec<Value>> {
        let mut body = Reader(body);
        body.take(1 + 4)?; // cursor flags, iteration count
        if self.parameters == 0 {
            return Some(Vec::new());
        }
        let nulls = body.take(self.parameters.div_ceil(8))?;
        if body.u8()? == 1 {
            self.types = (0..self.parameters)
                .map(|_| body.array())
                .collect::<Option<_>>()?;
        }
        let mut long_data = std::mem::take(&mut self.long_data);
        let mut values = Vec::with_capacity(self.parameters);
        for (i, [kind, flags]) in self.types.iter().enumerate() {
            values.push(if let Some(bytes) = long_data.remove(&i) {
                Value::from_wire_bytes(bytes)
            } else if nulls[i / 8] & (1 << (i % 8)) != 0 {
                Value::Null
            } else {
                value(&mut body, *kind, flags & UNSIGNED != 0)?
            });
        }
        (values.len() == self.parameters).then_some(values)
    }
}

fn value(body: &mut Reader<'_>, kind: u8, unsigned: bool) -> Option<Value> {
    // A value of n bytes, widened with or without its sign.
    macro_rules! integer {
        ($signed:ty, $unsigned:ty) => {{
            let bytes = body.array()?;
            if unsigned {
                Value::UInt(<$unsigned>::from_le_bytes(bytes).into())
            } else {
                Value::Int(<$signed>::from_le_bytes(bytes).into())
            }
        }};
    }
    Some(match kind {
        field::NULL => Value::Null,
        field::TINY => integer!(i8, u8),
        field::SHORT | field::YEAR => integer!(i16, u16),
        field::LONG | field::INT24 => integer!(i32, u32),
        field::LONGLONG => integer!(i64, u64),
        field::FLOAT => Value::Float(f32::from_le_bytes(body.array()?)),
        field::DOUBLE => Value::Double(f64::from_le_bytes(body.array()?)),
        field::DATE | field::DATETIME | field::TIMESTAMP => Value::Text(date_time(body)?),
        field::TIME => Value::Text(time(body)?),
        _ => Value::from_wire_bytes(body.lenenc_bytes()?.to_vec()),
    })
}

/// A date, shortened where its end is zero.
fn date_time(body: &mut Reader<'_>) -> Option<String> {
    let length = usize::from(body.u8()?);
    let mut part = Reader(body.take(length)?);
    let (year, month, day) = match length {
        0 => (0, 0, 0),
        _ => (part.u16()?, part.u8()?, part.u8()?),
    };
    let mut text = format!("{year:04}-{month:02}-{day:02}");
    if length >= 7 {
        text += &format!(" {:02}:{:02}:{:02}", part.u8()?, part.u8()?, part.u8()?);
    }
    if length >= 11 {
        text += &format!(".{:06}", part.u32()?);
    }
    Some(text)
}

/// A span of time, its days given as hours.
fn time(body: &mut Reader<'_>) -> Option<String> {
    let length = usize::from(body.u8()?);
    let mut part = Reader(body.take(length)?);
    if length == 0 {
        return Some("00:00:00".to_owned());
    }
    let sign = if part.u8()? == 1 { "-" } else { "" };
    let days = u64::from(part.u32()?);
    let hours = days * 24 + u64::from(part.u8()?);
    let mut text = format!("{sign}{hours:02}:{:02}:{:02}", part.u8()?, part.u8()?);
    if length >= 12 {
        text += &format!(".{:06}", part.u32()?);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_kept_for_the_executions_that_leave_them_out() {
        let mut statement = Prepared::new("SELECT ?".into(), 1);
        let first = [0, 1, 0, 0, 0, 0, 1, field::TINY, 0, 0xff];
        assert_eq!(statement.values(&first), Some(vec![Value::Int(-1)]));
        let again = [0, 1, 0, 0, 0, 0, 0, 7];
        assert_eq!(statement.values(&again), Some(vec![Value::Int(7)]));
    }

    #[test]
    fn parameters_that_came_ahead_are_used_once() {
        let mut statement = Prepared::new("SELECT ?".into(), 1);
        statement.add_long_data(0, b"ab");
        statement.add_long_data(0, b"c");
        let head = [0, 1, 0, 0, 0, 0, 1, field::VAR_STRING, 0];
        assert_eq!(statement.values(&head), Some(vec!["abc".into()]));
        assert_eq!(statement.values(&head), None);
    }

    #[test]
    fn dates_and_times_become_text() {
        let mut body = Reader(&[7, 0xe8, 0x07, 2, 29, 23, 59, 58]);
        assert_eq!(
            value(&mut body, field::DATETIME, false),
            Some("2024-02-29 23:59:58".into())
        );
        let mut body = Reader(&[8, 1, 1, 0, 0, 0, 2, 3, 4]);
        assert_eq!(
            value(&mut body, field::TIME, false),
            Some("-26:03:04".into())
        );
    }

    #[test]
    fn an_execution_without_types_is_malformed() {
        let mut statement = Prepared::new("SELECT ?".into(), 1);
        assert_eq!(statement.values(&[0, 1, 0, 0, 0, 0, 0, 7]), None);
    }
}
