//! Words that follow one another, some of them perhaps with wildcards.

use super::pattern::{Sign, Wildcard};
use crate::tokens::{Words, is_word_sign, words};

/// One or more words in a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Phrase {
    pieces: Vec<Piece>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// This word, folded.
    Word(String),
    /// A word like this.
    Like(Wildcard),
}

impl Piece {
    pub fn matches(&self, word: &str) -> bool {
        match self {
            Self::Word(own) => own == word,
            Self::Like(wildcard) => wildcard.matches(word),
        }
    }

    fn is_any(&self) -> bool {
        matches!(self, Self::Like(wildcard) if wildcard.is_any())
    }
}

impl Phrase {
    /// The words of a plain text; `None` if there are none.
    pub fn of_text(text: &str) -> Option<Self> {
        let pieces: Vec<Piece> = words(text).into_iter().map(Piece::Word).collect();
        (!pieces.is_empty()).then_some(Self { pieces })
    }

    /// The words of a text with wildcards. A `*` that stands alone at the beginning or end says nothing and is left
    /// out; between two words it is any one word. An empty phrase fits everything.
    pub(super) fn of_signs(signs: &[Sign]) -> Self {
        let mut pieces = Vec::new();
        let mut piece: Vec<Sign> = Vec::new();
        for sign in signs {
            match sign {
                Sign::Char(sign) if !is_word_sign(*sign) => finish(&mut piece, &mut pieces),
                sign => piece.push(*sign),
            }
        }
        finish(&mut piece, &mut pieces);
        let first = pieces.iter().position(|piece| !piece.is_any()).unwrap_or(pieces.len());
        pieces.drain(..first);
        let last = pieces.iter().rposition(|piece| !piece.is_any()).map_or(0, |last| last + 1);
        pieces.truncate(last);
        Self { pieces }
    }

    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether the words stand in a text one after the other.
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.pieces.split_first() else { return true };
        let mut walk = Words::new(text);
        if rest.is_empty() {
            while walk.advance() {
                if first.matches(walk.word()) {
                    return true;
                }
            }
            return false;
        }
        // For each place where the phrase may have begun: how many pieces have been found.
        let mut begun: Vec<usize> = Vec::new();
        while walk.advance() {
            let word = walk.word();
            begun.push(0);
            begun.retain_mut(|found| {
                let fits = self.pieces.get(*found).is_some_and(|piece| piece.matches(word));
                *found += 1;
                fits
            });
            if begun.contains(&self.pieces.len()) {
                return true;
            }
        }
        false
    }
}

/// Turns the signs of one piece into words. Signs without a wildcard may be several words (Chinese).
fn finish(signs: &mut Vec<Sign>, pieces: &mut Vec<Piece>) {
    let mut literal = String::new();
    let mut folded: Vec<Sign> = Vec::new();
    let mut wild = false;
    for sign in signs.drain(..) {
        match sign {
            Sign::Char(sign) => {
                literal.push(sign);
                folded.extend(words(sign.encode_utf8(&mut [0; 4])).concat().chars().map(Sign::Char));
            }
            other => {
                wild = true;
                folded.push(other);
            }
        }
    }
    if wild {
        pieces.push(Piece::Like(Wildcard::new(folded)));
    } else {
        pieces.extend(words(&literal).into_iter().map(Piece::Word));
    }
}
