//! How many peers stay up: a number, or a share.

use super::context::{Context, given, quoted};
use crate::plan::Keep;
use crate::problem::Finding;
use crate::tree::{Data, Table};

pub(super) fn read(table: &Table, cx: &mut Context<'_>) -> Option<Keep> {
    let (item, kind) = given(table, "keep")?;
    let (keep, found) = match &item.data {
        Data::Integer(peers) => {
            let peers = u32::try_from(*peers).ok();
            (peers.and_then(of_peers), "such an integer".to_owned())
        }
        Data::Text(text) => (of_share(text), quoted(text)),
        Data::Loose(text) => {
            let peers = text.trim().parse().ok().and_then(of_peers);
            (peers.or_else(|| of_share(text)), quoted(text))
        }
        _ => {
            cx.wrong_type(item, kind.expected());
            return None;
        }
    };
    if keep.is_none() {
        let finding = Finding::new("not a floor").expected(kind.expected());
        cx.report.wrong(item, finding.found(found));
    }
    keep
}

fn of_peers(peers: u32) -> Option<Keep> {
    const MOST: u32 = 1_000_000;
    (peers <= MOST).then(|| Keep::Peers(usize::try_from(peers).unwrap_or(usize::MAX)))
}

fn of_share(text: &str) -> Option<Keep> {
    let percent = text.trim().strip_suffix('%')?.trim_end();
    let plain = !percent.is_empty() && percent.bytes().all(|byte| byte.is_ascii_digit());
    let percent = percent
        .parse()
        .ok()
        .filter(|&percent: &u8| plain && percent <= 100)?;
    Some(Keep::Percent(percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_whole_number_of_percents() {
        assert_eq!(of_share("0%"), Some(Keep::Percent(0)));
        assert_eq!(of_share(" 30 %"), Some(Keep::Percent(30)));
        assert_eq!(of_share("100%"), Some(Keep::Percent(100)));
        for text in ["", "%", "101%", "-1%", "+1%", "1.5%", "30", "%30", "256%"] {
            assert_eq!(of_share(text), None, "{text}");
        }
    }
}
