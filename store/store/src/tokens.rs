//! Words of a text, as searches see them. The evaluator and every index use this and nothing else, so that they agree.
//!
//! A word is a run of letters and digits. Case and accents are taken off, so that `nguyen` finds `Nguyễn` and `d` finds
//! `đ`; combining accents are left out wherever they stand. Chinese, Japanese and Korean signs are a word each. What
//! must be compared exactly (keywords) does not come through here, only through [`fold_case`].

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Longest word in bytes; what is longer is cut.
pub const WORD_LEN_MAX: usize = 128;

/// The form in which keywords are compared: lower case, accents kept. A letter and its accent as signs of their own are the
/// one letter that they make (NFC), so that it does not matter how a system writes Vietnamese.
pub fn fold_case(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    if text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    // Sign by sign, because `str::to_lowercase` looks at the neighbours of a sigma.
    let lower: String = text.chars().flat_map(char::to_lowercase).collect();
    match is_nfc_quick(lower.chars()) {
        IsNormalized::Yes => Cow::Owned(lower),
        _ => Cow::Owned(lower.nfc().collect()),
    }
}

/// Calls `each` with every word in order, folded.
pub fn for_each_word(text: &str, mut each: impl FnMut(&str)) {
    let mut words = Words::new(text);
    while words.advance() {
        each(words.word());
    }
}

/// All words in order, folded.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for_each_word(text, |word| words.push(word.to_owned()));
    words
}

/// Walks over the words of a text without allocating for each of them.
pub struct Words<'a> {
    text: &'a str,
    /// Byte from which to go on.
    at: usize,
    start: usize,
    end: usize,
    folded: String,
}

impl<'a> Words<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, start: 0, end: 0, folded: String::new() }
    }

    /// Goes to the next word; `false` when there is none.
    pub fn advance(&mut self) -> bool {
        self.folded.clear();
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if byte.is_ascii() {
                self.at += 1;
                if byte.is_ascii_alphanumeric() {
                    if self.folded.is_empty() {
                        self.start = self.at - 1;
                    }
                    self.push(char::from(byte.to_ascii_lowercase()));
                    self.end = self.at;
                } else if !self.folded.is_empty() {
                    return true;
                }
            } else if self.advance_other() {
                return true;
            }
        }
        !self.folded.is_empty()
    }

    /// One sign beyond ASCII. Answers whether a word is finished.
    fn advance_other(&mut self) -> bool {
        let Some(sign) = self.text.get(self.at..).and_then(|rest| rest.chars().next()) else {
            self.at = self.text.len();
            return false;
        };
        let next = self.at + sign.len_utf8();
        if is_combining(sign) {
            self.at = next;
            return false;
        }
        if !sign.is_alphanumeric() {
            self.at = next;
            return !self.folded.is_empty();
        }
        let alone = is_word_by_itself(sign);
        if alone && !self.folded.is_empty() {
            return true;
        }
        if self.folded.is_empty() {
            self.start = self.at;
        }
        self.at = next;
        self.end = next;
        for lower in sign.to_lowercase() {
            if !is_combining(lower) {
                self.push(base_letter(lower));
            }
        }
        alone
    }

    fn push(&mut self, sign: char) {
        if self.folded.len() + sign.len_utf8() <= WORD_LEN_MAX {
            self.folded.push(sign);
        }
    }

    pub fn word(&self) -> &str {
        &self.folded
    }

    /// Where the word stands in the text, in bytes.
    pub fn span(&self) -> (usize, usize) {
        (self.start, self.end)
    }
}

/// Whether a sign can be part of a word, so that a text cut at it would cut the word.
pub fn is_word_sign(sign: char) -> bool {
    sign.is_alphanumeric() || is_combining(sign)
}

fn is_combining(sign: char) -> bool {
    matches!(sign, '\u{300}'..='\u{36f}')
}

fn is_word_by_itself(sign: char) -> bool {
    matches!(sign, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{20000}'..='\u{323af}')
}

/// The letter without its accents, for the Latin letters of European languages and Vietnamese in lower case.
fn base_letter(sign: char) -> char {
    match sign {
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' | 'ȁ' | 'ȃ' | 'ȧ' | 'ḁ' | 'ạ'..='ặ' => 'a',
        'ḃ' | 'ḅ' | 'ḇ' => 'b',
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' | 'ḉ' => 'c',
        'ď' | 'đ' | 'ð' | 'ḋ' | 'ḍ' | 'ḏ' | 'ḑ' | 'ḓ' => 'd',
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' | 'ȅ' | 'ȇ' | 'ȩ' | 'ḕ' | 'ḗ' | 'ḙ' | 'ḛ' | 'ḝ' | 'ẹ'..='ệ' => {
            'e'
        }
        'ḟ' => 'f',
        'ĝ' | 'ğ' | 'ġ' | 'ģ' | 'ǧ' | 'ǵ' | 'ḡ' => 'g',
        'ĥ' | 'ħ' | 'ȟ' | 'ḣ' | 'ḥ' | 'ḧ' | 'ḩ' | 'ḫ' => 'h',
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' | 'ǐ' | 'ȉ' | 'ȋ' | 'ḭ' | 'ḯ' | 'ỉ' | 'ị' => 'i',
        'ĵ' | 'ǰ' => 'j',
        'ķ' | 'ǩ' | 'ḱ' | 'ḳ' | 'ḵ' => 'k',
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' | 'ḷ' | 'ḹ' | 'ḻ' | 'ḽ' => 'l',
        'ḿ' | 'ṁ' | 'ṃ' => 'm',
        'ñ' | 'ń' | 'ņ' | 'ň' | 'ǹ' | 'ṅ' | 'ṇ' | 'ṉ' | 'ṋ' => 'n',
        'ò'..='ö'
        | 'ø'
        | 'ō'
        | 'ŏ'
        | 'ő'
        | 'ơ'
        | 'ǒ'
        | 'ǫ'
        | 'ȍ'
        | 'ȏ'
        | 'ȯ'
        | 'ȱ'
        | 'ṍ'
        | 'ṏ'
        | 'ṑ'
        | 'ṓ'
        | 'ọ'..='ợ' => 'o',
        'ṕ' | 'ṗ' => 'p',
        'ŕ' | 'ŗ' | 'ř' | 'ȑ' | 'ȓ' | 'ṙ' | 'ṛ' | 'ṝ' | 'ṟ' => 'r',
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' | 'ṡ' | 'ṣ' | 'ṥ' | 'ṧ' | 'ṩ' => 's',
        'ţ' | 'ť' | 'ŧ' | 'ț' | 'ṫ' | 'ṭ' | 'ṯ' | 'ṱ' => 't',
        'ù'..='ü'
        | 'ũ'
        | 'ū'
        | 'ŭ'
        | 'ů'
        | 'ű'
        | 'ų'
        | 'ư'
        | 'ǔ'
        | 'ȕ'
        | 'ȗ'
        | 'ṳ'
        | 'ṵ'
        | 'ṷ'
        | 'ṹ'
        | 'ṻ'
        | 'ụ'..='ự' => 'u',
        'ṽ' | 'ṿ' => 'v',
        'ŵ' | 'ẁ' | 'ẃ' | 'ẅ' | 'ẇ' | 'ẉ' => 'w',
        'ẋ' | 'ẍ' => 'x',
        'ý' | 'ÿ' | 'ŷ' | 'ȳ' | 'ẏ' | 'ỳ' | 'ỵ' | 'ỷ' | 'ỹ' => 'y',
        'ź' | 'ż' | 'ž' | 'ẑ' | 'ẓ' | 'ẕ' => 'z',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(words(text), expected, "input: {text:?}");
    }

    #[test]
    fn words_of_texts() {
        check("", &[]);
        check("--- ...", &[]);
        check("Failed password for root", &["failed", "password", "for", "root"]);
        check("10.0.0.5:22", &["10", "0", "0", "5", "22"]);
        check("C:\\Windows\\cmd.exe", &["c", "windows", "cmd", "exe"]);
        check("Nguyễn Văn Đức", &["nguyen", "van", "duc"]);
        check("NGUYỄN ĐÌNH CHIỂU", &["nguyen", "dinh", "chieu"]);
        check("Nguye\u{302}\u{303}n", &["nguyen"]); // accents as signs of their own
        check("ười Ưu ợ", &["uoi", "uu", "o"]);
        check("日本log", &["日", "本", "log"]);
        check("Привет МИР", &["привет", "мир"]);
        check("a\0b", &["a", "b"]);
    }

    #[test]
    fn every_vietnamese_letter_loses_its_accents() {
        let letters = "àáảãạăằắẳẵặâầấẩẫậ èéẻẽẹêềếểễệ ìíỉĩị òóỏõọôồốổỗộơờớởỡợ ùúủũụưừứửữự ỳýỷỹỵ đ";
        let bare =
            ["a".repeat(17), "e".repeat(11), "i".repeat(5), "o".repeat(17), "u".repeat(11), "y".repeat(5), "d".into()];
        assert_eq!(words(letters), bare);
        assert_eq!(words(&letters.to_uppercase()), bare);
    }

    #[test]
    fn composed_and_decomposed_letters_are_the_same() {
        let composed = "Nguyễn Thị Đức, Hòa Bình, Ường";
        let decomposed: String = composed.nfd().collect();
        assert_ne!(composed, decomposed);
        assert_eq!(words(&decomposed), words(composed));
        assert_eq!(fold_case(&decomposed), fold_case(composed));
        assert_eq!(fold_case(composed), "nguyễn thị đức, hòa bình, ường");
    }

    #[test]
    fn long_words_are_cut() {
        assert_eq!(words(&"x".repeat(10_000)), ["x".repeat(WORD_LEN_MAX)]);
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in ".*") {
            let once = words(&text);
            prop_assert_eq!(words(&once.join(" ")), once);
            let folded = fold_case(&text).into_owned();
            prop_assert_eq!(fold_case(&folded).into_owned(), folded.clone());
        }

        #[test]
        fn spans_lie_in_the_text(text in ".*") {
            let mut walk = Words::new(&text);
            let mut last = 0;
            while walk.advance() {
                let (start, end) = walk.span();
                prop_assert!(last <= start && start < end && text.get(start..end).is_some());
                last = end;
            }
        }
    }
}
