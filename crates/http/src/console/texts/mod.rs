//! The texts of the console, a table for each language. A text that a table lacks does not compile, and a test compares
//! the places for values. A language is a file here and a place in [`ALL`].

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
mod words;
mod zh;

pub(super) use en::{EN, Texts};
use zh::ZH;

/// Every language, the first of which is used where no other is asked for.
pub(super) static ALL: [&Texts; 2] = [&EN, &ZH];

#[cfg(test)]
mod tests {
    use super::*;

    /// How many values a text has places for.
    fn n_places(text: &str) -> usize {
        text.matches('{').count()
    }

    #[test]
    fn every_language_says_everything_with_the_same_values() {
        for other in &ALL[1..] {
            for ((name, english), (_, translated)) in EN.entries().into_iter().zip(other.entries()) {
                assert!(!english.is_empty() && !translated.is_empty(), "{}: {name}", other.tag);
                assert_eq!(n_places(english), n_places(translated), "{}: {name}", other.tag);
                let may_be_equal = name == "ndcg" || english == "–";
                assert!(may_be_equal || english != translated, "{}: {name} is not translated", other.tag);
            }
        }
    }
}
