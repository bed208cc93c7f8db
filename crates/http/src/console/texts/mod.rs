//! The texts of the console, a table for each language. A text that a table lacks does not compile, and a test compares
//! the places for values.

/// The table of the first language, from which the others have their entries.
macro_rules! table {
    ($($name:ident: $text:literal,)*) => {
        /// The texts of one language. `{}` is a place for a value, in the order of the English text.
        pub struct Texts {
            $(pub $name: &'static str,)*
        }

        impl Texts {
            /// All entries with their names.
            #[cfg(test)]
            pub fn entries(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }

        /// English.
        pub static EN: Texts = Texts { $($name: $text,)* };
    };
}

mod en;
mod zh;

pub(super) use en::{EN, Texts};
pub(super) use zh::ZH;

#[cfg(test)]
mod tests {
    use super::*;

    /// How many values a text has places for.
    fn n_places(text: &str) -> usize {
        text.matches('{').count()
    }

    #[test]
    fn every_language_says_everything_with_the_same_values() {
        for ((name, english), (_, chinese)) in EN.entries().into_iter().zip(ZH.entries()) {
            assert!(!english.is_empty() && !chinese.is_empty(), "{name}");
            assert_eq!(n_places(english), n_places(chinese), "{name}");
            assert!(
                name == "tag" || name == "ndcg" || english == "–" || english != chinese,
                "{name} is not translated"
            );
        }
    }
}
