//! The words of a MIB module: names, numbers, marks. Comments and texts in quotes are passed over.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token<'a> {
    Word(&'a str),
    Number(i64),
    /// `::=`
    Is,
    /// Any other mark.
    Mark(u8),
    /// A text in quotes; what it says is of no use here.
    Text,
}

pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// A comment ends at the end of its line, or at the next pair of dashes.
    fn skip_comment(&mut self) {
        let rest = self.bytes().get(2..).unwrap_or_default();
        let line = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        // A row of dashes is drawn to part sections and means nothing else.
        let inside = rest.get(..line).unwrap_or_default();
        let drawn = inside.iter().take_while(|byte| **byte == b'-').count();
        let end = inside.get(drawn..).unwrap_or_default().windows(2).position(|pair| pair == b"--");
        self.at += 2 + end.map_or(line, |end| drawn + end + 2);
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let bytes = self.bytes();
            match bytes {
                [] => return None,
                [b'-', b'-', ..] => self.skip_comment(),
                [b':', b':', b'=', ..] => {
                    self.at += 3;
                    return Some(Token::Is);
                }
                [b'"', rest @ ..] => {
                    self.at += 1 + rest.iter().position(|byte| *byte == b'"').map_or(rest.len(), |end| end + 1);
                    return Some(Token::Text);
                }
                [b'\'', rest @ ..] => {
                    self.at += 1 + rest.iter().position(|byte| *byte == b'\'').map_or(rest.len(), |end| end + 1);
                    return Some(Token::Text);
                }
                [first, ..] if first.is_ascii_alphanumeric() => {
                    let mut len = 0;
                    while let Some(byte) = bytes.get(len) {
                        let is_dash = *byte == b'-' && bytes.get(len + 1) != Some(&b'-');
                        if !(byte.is_ascii_alphanumeric() || *byte == b'_' || is_dash) {
                            break;
                        }
                        len += 1;
                    }
                    // Only ASCII so far, so these are whole characters.
                    let word = self.text.get(self.at..self.at + len).unwrap_or_default();
                    self.at += len;
                    return Some(word.parse().map_or(Token::Word(word), Token::Number));
                }
                [b'-', next, ..] if next.is_ascii_digit() => {
                    let len = 1 + bytes.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
                    let number = self.text.get(self.at..self.at + len).and_then(|text| text.parse().ok());
                    self.at += len;
                    return Some(Token::Number(number.unwrap_or(i64::MIN)));
                }
                [byte, ..] => {
                    self.at += 1;
                    if !byte.is_ascii_whitespace() {
                        return Some(Token::Mark(*byte));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Token::{Is, Mark, Number, Text, Word};
    use super::*;

    #[test]
    fn words() {
        let check = |text: &str, expected: &[Token<'_>]| {
            assert_eq!(Tokens::new(text).collect::<Vec<_>>(), expected, "text: {text}");
        };
        check("ifIndex OBJECT-TYPE", &[Word("ifIndex"), Word("OBJECT-TYPE")]);
        check("x ::= { mib-2 1 }", &[Word("x"), Is, Mark(b'{'), Word("mib-2"), Number(1), Mark(b'}')]);
        check("a -- said -- b -- rest\nc", &[Word("a"), Word("b"), Word("c")]);
        check("a ----- drawn\nb", &[Word("a"), Word("b")]);
        check("a--comment\nb", &[Word("a"), Word("b")]);
        check("\"it says -- so\" a", &[Text, Word("a")]);
        check("'00ff'H", &[Text, Word("H")]);
        check("(-5..7)", &[Mark(b'('), Number(-5), Mark(b'.'), Mark(b'.'), Number(7), Mark(b')')]);
        check("\"never ended", &[Text]);
        check("é a", &[Mark(0xc3), Mark(0xa9), Word("a")]);
        check("--", &[]);
        check("99999999999999999999", &[Word("99999999999999999999")]);
    }
}
