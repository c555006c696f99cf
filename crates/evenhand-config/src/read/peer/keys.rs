//! Structs of keys that tables may set.

/// Defines a struct with an optional field for each key, its reader, and the inheritance.
macro_rules! keys {
    (
        $(#[$meta:meta])*
        struct $struct:ident { $($(#[$doc:meta])* $key:ident: $type:ty,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Default)]
        pub(super) struct $struct {
            $($(#[$doc])* pub(super) $key: Option<$type>,)+
        }

        impl $struct {
            /// The keys that a table sets.
            pub(super) fn read(
                table: &$crate::tree::Table,
                cx: &mut $crate::read::context::Context<'_>,
            ) -> Self {
                $struct { $($key: $crate::read::value::read(table, stringify!($key), cx),)+ }
            }

            /// These keys, and those of `other` where they are not set.
            pub(super) fn or(self, other: &$struct) -> Self {
                $struct { $($key: self.$key.or_else(|| other.$key.clone()),)+ }
            }
        }
    };
}
pub(super) use keys;
