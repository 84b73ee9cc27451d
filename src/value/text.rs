//! The one form in which texts are searched and compared.

/// `text` in lower case, trimmed, each run of white space a single space: equal for texts that differ in nothing else.
///
/// Letters are folded one by one, not by their place in a word (a Greek final sigma is a sigma), so that a part of a
/// text folds to a part of the folded text.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.extend(word.chars().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }));
    }
    folded
}

/// The folded text a record is searched by: its parts, one a line, so that no match runs from one into the next.
pub fn search_text<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let folded: Vec<String> = parts.into_iter().map(fold).filter(|part| !part.is_empty()).collect();
    folded.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_white_space_do_not_matter() {
        for (text, folded) in [
            ("  Amyotrophic\u{a0}Lateral \t\n Sclerosis ", "amyotrophic lateral sclerosis"),
            ("ÉTUDE", "étude"),
            ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
            ("Σίσυφος", "σίσυφοσ"),
            ("", ""),
            (" \n ", ""),
        ] {
            assert_eq!(fold(text), folded);
        }
    }

    #[test]
    fn parts_stay_apart() {
        assert_eq!(search_text(["Dental  Caries", " ", "NCT00973089"]), "dental caries\nnct00973089");
        assert!(!search_text(["dental", "caries"]).contains(&fold("dental caries")));
        assert_eq!(search_text([]), "");
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,40}") {
            prop_assert_eq!(fold(&fold(&text)), fold(&text));
        }

        #[test]
        fn a_word_of_a_text_is_found_in_it(words in prop::collection::vec("\\w{1,8}", 1..5), which in any::<prop::sample::Index>()) {
            let text = words.join("  ");
            prop_assert!(fold(&text).contains(&fold(&words[which.index(words.len())])));
        }
    }
}
