//! The resolver of a pool that finds its peers in DNS, as a setting: clones are equal.

/// `None`: the system's.
#[derive(Clone, Debug, Default)]
pub(crate) struct DnsSetting {
    #[cfg(feature = "dns")]
    pub(crate) dns: Option<std::sync::Arc<evenhand_dns::Dns>>,
}

#[cfg(feature = "dns")]
impl PartialEq for DnsSetting {
    fn eq(&self, other: &Self) -> bool {
        let id = |setting: &Self| setting.dns.as_ref().map(std::sync::Arc::as_ptr);
        id(self) == id(other)
    }
}

#[cfg(not(feature = "dns"))]
impl PartialEq for DnsSetting {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for DnsSetting {}
