//! Several conditions as one: all, any, or an expression over their names.

use crate::diagnostic::nearest;

/// Brackets inside brackets, deeper than which an expression is refused.
const DEPTH_MAX: usize = 32;

#[derive(Clone, PartialEq, Debug)]
enum Expression {
    One(usize),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

/// Conditions and how they are joined. Without any, it always holds.
#[derive(Clone, Debug)]
pub(super) struct Joined<T> {
    tests: Vec<T>,
    expression: Expression,
}

impl<T> Joined<T> {
    pub(super) fn new(tests: Vec<T>, any: bool, negated: bool) -> Self {
        let all = (0..tests.len()).map(Expression::One).collect();
        Self::with(tests, if any { Expression::Any(all) } else { Expression::All(all) }, negated)
    }

    fn with(tests: Vec<T>, expression: Expression, negated: bool) -> Self {
        Self { tests, expression: if negated { Expression::Not(Box::new(expression)) } else { expression } }
    }

    /// `names` are those of the tests, in the same order.
    pub(super) fn parse(tests: Vec<T>, names: &[&str], text: &str, negated: bool) -> Result<Self, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let mut used = vec![false; names.len()];
        let mut reader = Reader { words: spaced.split_whitespace().collect(), next: 0, names, used: &mut used };
        let expression = reader.any(0)?;
        if let Some(word) = reader.peek() {
            return Err(format!("the expression goes on with `{word}` where it should end"));
        }
        if let Some(unused) = used.iter().position(|used| !used) {
            return Err(format!("the expression does not use the condition `{}`", names[unused]));
        }
        Ok(Self::with(tests, expression, negated))
    }

    /// # Errors
    ///
    /// What a test says that cannot be answered.
    pub(super) fn holds<E>(&self, mut test: impl FnMut(&T) -> Result<bool, E>) -> Result<bool, E> {
        if self.tests.is_empty() {
            return Ok(true);
        }
        let answers = self.tests.iter().map(&mut test).collect::<Result<Vec<bool>, E>>()?;
        Ok(evaluate(&self.expression, &answers))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }
}

fn evaluate(expression: &Expression, answers: &[bool]) -> bool {
    match expression {
        Expression::One(index) => answers.get(*index).copied().unwrap_or(false),
        Expression::Not(part) => !evaluate(part, answers),
        Expression::All(parts) => parts.iter().all(|part| evaluate(part, answers)),
        Expression::Any(parts) => parts.iter().any(|part| evaluate(part, answers)),
    }
}

struct Reader<'a> {
    words: Vec<&'a str>,
    next: usize,
    names: &'a [&'a str],
    used: &'a mut [bool],
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).copied()
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.peek() == Some(wanted);
        self.next += usize::from(found);
        found
    }

    fn any(&mut self, depth: usize) -> Result<Expression, String> {
        let mut parts = vec![self.all(depth)?];
        while self.take("or") {
            parts.push(self.all(depth)?);
        }
        Ok(Expression::Any(parts))
    }

    fn all(&mut self, depth: usize) -> Result<Expression, String> {
        let mut parts = vec![self.one(depth)?];
        while self.take("and") {
            parts.push(self.one(depth)?);
        }
        Ok(Expression::All(parts))
    }

    fn one(&mut self, depth: usize) -> Result<Expression, String> {
        if depth > DEPTH_MAX {
            return Err(format!("the expression is nested deeper than {DEPTH_MAX} levels"));
        }
        if self.take("not") {
            return Ok(Expression::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.take("(") {
            let inner = self.any(depth + 1)?;
            return if self.take(")") {
                Ok(inner)
            } else {
                Err("a bracket of the expression is not closed".to_owned())
            };
        }
        let word = self.peek().ok_or("the expression ends where a name of a condition should be")?;
        self.next += 1;
        let Some(index) = self.names.iter().position(|name| *name == word) else {
            let hint = nearest(word, self.names.iter().copied());
            let hint = hint.map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
            return Err(format!("the expression names `{word}`, which is not a condition here{hint}"));
        };
        self.used[index] = true;
        Ok(Expression::One(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<bool, &str>) {
        // `yes` holds, `no` does not.
        let found = Joined::parse(vec![true, false], &["yes", "no"], text, false)
            .map(|joined| joined.holds(|test| Ok::<_, ()>(*test)) == Ok(true));
        assert_eq!(found, expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn expressions() {
        check("yes or no", Ok(true));
        check("yes and no", Ok(false));
        check("yes and not no", Ok(true));
        check("not(yes or no)", Ok(false));
        check("no and yes or yes", Ok(true));
        check("no and (yes or yes)", Ok(false));
        check("yes", Err("the expression does not use the condition `no`"));
        check("yes or", Err("the expression ends where a name of a condition should be"));
        check("(yes or no", Err("a bracket of the expression is not closed"));
        check("yes no", Err("the expression goes on with `no` where it should end"));
        check("yess or no", Err("the expression names `yess`, which is not a condition here; did you mean `yes`?"));
        check(&"(".repeat(100_000), Err("the expression is nested deeper than 32 levels"));
        check(&"not ".repeat(100_000), Err("the expression is nested deeper than 32 levels"));
    }
}
