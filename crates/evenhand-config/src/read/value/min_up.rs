//! The number of peers that stay up: a number, or a share.

use super::Value;
use crate::keys::ValueKind;
use crate::plan::MinUp;
use crate::problem::{Finding, name};
use crate::read::context::Context;
use crate::tree::{Data, Item};

impl Value for MinUp {
    fn from_item(item: &Item, kind: ValueKind, cx: &mut Context<'_>) -> Option<Self> {
        let (min_up, found) = match &item.data {
            Data::Integer(peers) => {
                let peers = u32::try_from(*peers).ok();
                (peers.and_then(number), "such an integer".to_owned())
            }
            Data::Text(text) => (share(text), name::quoted(text)),
            Data::Loose(text) => {
                let peers = text.trim().parse().ok().and_then(number);
                (peers.or_else(|| share(text)), name::quoted(text))
            }
            _ => {
                cx.wrong_type(item, kind.expected());
                return None;
            }
        };
        if min_up.is_none() {
            let finding = Finding::new("neither a number nor a share").expected(kind.expected());
            cx.report.value_error(&item.location, finding.found(found));
        }
        min_up
    }
}

fn number(peers: u32) -> Option<MinUp> {
    const MAX: u32 = 1_000_000;
    (peers <= MAX).then(|| MinUp::Peers(usize::try_from(peers).unwrap_or(usize::MAX)))
}

fn share(text: &str) -> Option<MinUp> {
    let percent = text.trim().strip_suffix('%')?.trim_end();
    // `parse` would accept a sign.
    let is_number = percent.bytes().all(|byte| byte.is_ascii_digit());
    let percent: u8 = percent.parse().ok()?;
    (is_number && percent <= 100).then_some(MinUp::Percent(percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_is_a_whole_number_of_percent() {
        assert_eq!(share("0%"), Some(MinUp::Percent(0)));
        assert_eq!(share(" 30 %"), Some(MinUp::Percent(30)));
        assert_eq!(share("100%"), Some(MinUp::Percent(100)));
        for text in ["", "%", "101%", "-1%", "+1%", "1.5%", "30", "%30", "256%"] {
            assert_eq!(share(text), None, "{text}");
        }
    }
}
