//! The one list of names whose values are secrets, and how a name is compared with it.

use compact_str::CompactString;

/// Where a value of this name is a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    /// Wherever it is named, also at the end of a longer name: `j_password`, `X-Amz-Security-Token`.
    Anywhere,
    /// Wherever it is named, but not as a part of another name.
    Alone,
    /// In the query of an address and in forms. Elsewhere the word means other things: `sig` is a signal, `pwd` a directory.
    Query,
}

/// Names in small letters, without `_` and `-`. What others call them is compared in the same way. `pass` is not among them:
/// web shells take their commands in it, and rules look for these.
const NAMES: &[(&str, Reach)] = &[
    ("password", Reach::Anywhere),
    ("passwd", Reach::Anywhere),
    ("passphrase", Reach::Anywhere),
    ("passcode", Reach::Anywhere),
    ("matkhau", Reach::Anywhere),
    ("clientsecret", Reach::Anywhere),
    ("appsecret", Reach::Anywhere),
    ("consumersecret", Reach::Anywhere),
    ("secretkey", Reach::Anywhere),
    ("secretaccesskey", Reach::Anywhere),
    ("privatekey", Reach::Anywhere),
    ("subscriptionkey", Reach::Anywhere),
    ("apikey", Reach::Anywhere),
    ("apitoken", Reach::Anywhere),
    ("accesstoken", Reach::Anywhere),
    ("refreshtoken", Reach::Anywhere),
    ("idtoken", Reach::Anywhere),
    ("idtokenhint", Reach::Anywhere),
    ("authtoken", Reach::Anywhere),
    ("bearertoken", Reach::Anywhere),
    ("subjecttoken", Reach::Anywhere),
    ("sessiontoken", Reach::Anywhere),
    ("securitytoken", Reach::Anywhere),
    ("clientassertion", Reach::Anywhere),
    ("codeverifier", Reach::Anywhere),
    ("devicecode", Reach::Anywhere),
    ("samlresponse", Reach::Anywhere),
    ("amzsignature", Reach::Anywhere),
    ("googsignature", Reach::Anywhere),
    ("token", Reach::Alone),
    ("secret", Reach::Alone),
    ("jwt", Reach::Alone),
    ("jsessionid", Reach::Alone),
    ("phpsessid", Reach::Alone),
    ("assertion", Reach::Query),
    ("auth", Reach::Query),
    ("otp", Reach::Query),
    ("pin", Reach::Query),
    ("pwd", Reach::Query),
    ("sig", Reach::Query),
    ("signature", Reach::Query),
    ("ticket", Reach::Query),
];

/// The longest name that is looked at, in bytes.
pub(super) const NAME_LEN_MAX: usize = 64;
const NAME_LEN_MIN: usize = 3;

/// The list, ready to be asked.
#[derive(Debug)]
pub(super) struct Names {
    /// By the last letter, because most names are told apart by it.
    by_last: Vec<(u8, Vec<(CompactString, Reach)>)>,
    /// For each byte that a name may end with, which letter may stand before it, a bit each.
    last: Box<[u32; 256]>,
}

/// The bit of a letter; anything else counts as any letter.
fn bit(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        letter @ b'a'..=b'z' => 1 << (letter - b'a'),
        _ => u32::MAX,
    }
}

impl Names {
    /// The list and `more`, which count wherever they are named, but not as a part of another name.
    pub(super) fn new<'n>(more: impl Iterator<Item = &'n str>) -> Self {
        let mut names = Self { by_last: Vec::new(), last: Box::new([0; 256]) };
        let own = NAMES.iter().map(|(name, reach)| (CompactString::const_new(name), *reach));
        let more = more.filter_map(|name| Some((normal(name.as_bytes())?, Reach::Alone)));
        for (name, reach) in own.chain(more) {
            let mut letters = name.bytes().rev();
            let Some(last) = letters.next() else { continue };
            let before = letters.next().map_or(u32::MAX, bit);
            names.last[usize::from(last)] |= before;
            names.last[usize::from(last.to_ascii_uppercase())] |= before;
            match names.by_last.iter_mut().find(|(letter, _)| *letter == last) {
                Some((_, list)) => list.push((name, reach)),
                None => names.by_last.push((last, vec![(name, reach)])),
            }
        }
        names
    }

    /// Whether a name at the end of this text is worth a question.
    pub(super) fn may_end(&self, text: &[u8]) -> bool {
        match text {
            [.., before, last] => self.last[usize::from(*last)] & bit(*before) != 0,
            _ => false,
        }
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<Reach> {
        if !self.may_end(name) {
            return None;
        }
        let name = normal(name)?;
        let last = name.bytes().last()?;
        let (_, list) = self.by_last.iter().find(|(letter, _)| *letter == last)?;
        let fits = |(known, reach): &&(CompactString, Reach)| match reach {
            Reach::Anywhere => name.ends_with(known.as_str()),
            Reach::Alone | Reach::Query => name == *known,
        };
        list.iter().find(fits).map(|(_, reach)| *reach)
    }
}

/// Whether a name of an operator can be looked for.
pub(super) fn can_be_name(name: &str) -> bool {
    normal(name.as_bytes()).is_some_and(|normal| normal.len() >= NAME_LEN_MIN)
}

/// The part behind the last dot, in small letters, without `_` and `-`. An option of a command (`--password`) is no name.
fn normal(name: &[u8]) -> Option<CompactString> {
    let name = name.rsplit(|byte| *byte == b'.').next()?;
    if name.len() > NAME_LEN_MAX || name.first() == Some(&b'-') {
        return None;
    }
    let letters = name.iter().filter(|byte| !matches!(byte, b'_' | b'-')).map(u8::to_ascii_lowercase);
    let normal = letters.map(char::from).collect::<CompactString>();
    (!normal.is_empty()).then_some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let names = Names::new(["Ma-Bi-Mat"].into_iter());
        let check = |name: &str, expected: Option<Reach>| {
            assert_eq!(names.find(name.as_bytes()), expected, "name: {name}");
        };
        check("password", Some(Reach::Anywhere));
        check("newPassword", Some(Reach::Anywhere));
        check("form.j_password", Some(Reach::Anywhere));
        check("X-Amz-Security-Token", Some(Reach::Anywhere));
        check("api_key", Some(Reach::Anywhere));
        check("token", Some(Reach::Alone));
        check("csrf_token", None);
        check("sig", Some(Reach::Query));
        check("sigma", None);
        check("key", None);
        check("--password", None);
        check("ma_bi_mat", Some(Reach::Alone));
        check("", None);
        check("-", None);
        check("é", None);
        assert!(!can_be_name("__") && !can_be_name("") && !can_be_name("ab") && can_be_name("sid"));
    }

    #[test]
    fn the_list_is_written_as_it_is_compared() {
        for (name, _) in NAMES {
            assert_eq!(normal(name.as_bytes()).as_deref(), Some(*name));
        }
    }
}
