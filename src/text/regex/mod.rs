//! A small regular expression engine for `pattern`: it matches the whole text, in linear time for every pattern (state
//! sets, no backtracking).
//!
//! Supported: characters, `.`, `[a-z]`, `[^…]`, `\d \w \s` and their negations, `\n \r \t`, `( )`, `(?: )`, `|`, `*`,
//! `+`, `?`, `{m}`, `{m,}`, `{m,n}`, `^`, `$`. Not supported: back references, look-around, flags.

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    program: Vec<Instruction>,
}

#[derive(Clone, Debug)]
enum Instruction {
    /// Consumes one character of the set.
    Take(CharSet),
    /// Continues at both.
    Split(usize, usize),
    /// Continues there.
    Jump(usize),
    /// Matches only at the start.
    Start,
    /// Matches only at the end.
    End,
    Match,
}

#[derive(Clone, Debug, Default)]
struct CharSet {
    ranges: Vec<(char, char)>,
    negated: bool,
}

#[derive(Debug)]
enum Tree {
    Empty,
    CharSet(CharSet),
    Start,
    End,
    Sequence(Vec<Tree>),
    Choice(Vec<Tree>),
    Repeat(Box<Tree>, u32, Option<u32>),
}

/// The maximum program length; a pattern such as `(a{999}){999}` is rejected.
const MAX_STEPS: usize = 10_000;
/// The maximum count in `{m,n}`.
const MAX_COUNT: u32 = 1000;
/// The maximum nesting of groups.
const MAX_DEPTH: u32 = 50;

impl Pattern {
    /// Compiles a pattern. The error is one line for the user.
    pub fn new(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text, depth: 0 };
        let tree = parser.choice()?;
        if !parser.rest.is_empty() {
            return Err("a \")\" without its \"(\"; write \"\\)\" for the character".into());
        }
        let mut program = Vec::new();
        compile(&tree, &mut program)?;
        program.push(Instruction::Match);
        Ok(Self { program })
    }

    /// Returns whether the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut now = States::new(self.program.len());
        let mut then = States::new(self.program.len());
        self.follow(0, true, text.is_empty(), &mut now);
        for (at, c) in text.char_indices() {
            let end = at + c.len_utf8() == text.len();
            then.clear();
            for state in &now.list {
                if let Some(Instruction::Take(set)) = self.program.get(*state)
                    && set.has(c)
                {
                    self.follow(state + 1, false, end, &mut then);
                }
            }
            std::mem::swap(&mut now, &mut then);
        }
        now.list.iter().any(|state| matches!(self.program.get(*state), Some(Instruction::Match)))
    }

    /// Adds a state, and all states reachable from it without consuming a character.
    fn follow(&self, from: usize, start: bool, end: bool, states: &mut States) {
        let mut open = vec![from];
        while let Some(state) = open.pop() {
            if !states.add(state) {
                continue;
            }
            match self.program.get(state) {
                Some(Instruction::Split(one, other)) => open.extend([*one, *other]),
                Some(Instruction::Jump(to)) => open.push(*to),
                Some(Instruction::Start) if start => open.push(state + 1),
                Some(Instruction::End) if end => open.push(state + 1),
                _ => {}
            }
        }
    }
}

struct States {
    list: Vec<usize>,
    has: Vec<bool>,
}

impl States {
    fn new(size: usize) -> Self {
        Self { list: Vec::new(), has: vec![false; size] }
    }

    fn clear(&mut self) {
        self.list.clear();
        self.has.fill(false);
    }

    fn add(&mut self, state: usize) -> bool {
        let Some(has) = self.has.get_mut(state).filter(|has| !**has) else { return false };
        *has = true;
        self.list.push(state);
        true
    }
}

impl CharSet {
    fn one(c: char) -> Self {
        Self { ranges: vec![(c, c)], negated: false }
    }

    fn has(&self, c: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != self.negated
    }

    /// Returns the ranges of this set, for use inside `[…]`.
    fn into_ranges(mut self) -> Vec<(char, char)> {
        if !self.negated {
            return self.ranges;
        }
        crate::text::sort::sort(&mut self.ranges);
        let mut gaps = Vec::new();
        let mut next = '\0';
        for (low, high) in self.ranges {
            if let Some(before) =
                char::from_u32((low as u32).wrapping_sub(1)).filter(|c| *c >= next && low > next)
            {
                gaps.push((next, before));
            }
            next = char::from_u32(high as u32 + 1).unwrap_or(char::MAX);
        }
        gaps.push((next, char::MAX));
        gaps
    }
}

struct Parser<'t> {
    rest: &'t str,
    depth: u32,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    fn eat(&mut self, word: &str) -> bool {
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn choice(&mut self) -> Result<Tree, String> {
        let mut branches = vec![self.sequence()?];
        while self.eat("|") {
            branches.push(self.sequence()?);
        }
        Ok(Tree::Choice(branches))
    }

    fn sequence(&mut self) -> Result<Tree, String> {
        let mut items = Vec::new();
        while let Some(c) = self.peek().filter(|c| !matches!(c, '|' | ')')) {
            if matches!(c, '*' | '+' | '?') {
                return Err(format!("a \"{c}\" that repeats nothing; write \"\\{c}\" for the character"));
            }
            let item = self.atom()?;
            items.push(self.repeated(item)?);
        }
        Ok(Tree::Sequence(items))
    }

    fn repeated(&mut self, item: Tree) -> Result<Tree, String> {
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.counts()? {
                Some(counts) => counts,
                None => return Ok(item),
            },
            _ => return Ok(item),
        };
        if !self.rest.starts_with('{') {
            self.next();
        } else {
            self.rest = self.rest.split_once('}').map_or("", |(_, rest)| rest);
        }
        // Lazy quantifiers give the same result, since the whole text must match.
        self.eat("?");
        if self.rest.starts_with(['*', '+', '?']) {
            return Err("a repetition of a repetition; put the inner one in ( )".into());
        }
        Ok(Tree::Repeat(Box::new(item), min, max))
    }

    /// Parses `{m}`, `{m,}` or `{m,n}` here; `None` if the brace is an ordinary character.
    fn counts(&self) -> Result<Option<(u32, Option<u32>)>, String> {
        let Some((inside, _)) = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            return Ok(None);
        };
        let (low, high) = inside.split_once(',').map_or((inside, None), |(low, high)| (low, Some(high)));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(low) || high.is_some_and(|high| !high.is_empty() && !digits(high)) {
            return Ok(None);
        }
        let number = |text: &str| text.parse::<u32>().ok().filter(|n| *n <= MAX_COUNT);
        let too_many = || format!("\"{{{inside}}}\" counts further than {MAX_COUNT}");
        let min = number(low).ok_or_else(too_many)?;
        let max = match high {
            None => Some(min),
            Some("") => None,
            Some(high) => Some(number(high).ok_or_else(too_many)?),
        };
        if max.is_some_and(|max| max < min) {
            return Err(format!("\"{{{inside}}}\" has its limits the wrong way round"));
        }
        Ok(Some((min, max)))
    }

    fn atom(&mut self) -> Result<Tree, String> {
        Ok(match self.next() {
            None => Tree::Empty,
            Some('^') => Tree::Start,
            Some('$') => Tree::End,
            Some('.') => Tree::CharSet(CharSet { ranges: vec![('\n', '\n')], negated: true }),
            Some('[') => Tree::CharSet(self.class()?),
            Some('\\') => Tree::CharSet(self.escape()?),
            Some('(') => {
                if self.rest.starts_with('?') && !self.eat("?:") {
                    return Err("a group that begins with \"(?\" and is not \"(?:\" is not known here".into());
                }
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(format!("groups more than {MAX_DEPTH} deep"));
                }
                let inside = self.choice()?;
                self.depth -= 1;
                if !self.eat(")") {
                    return Err("a \"(\" without its \")\"; write \"\\(\" for the character".into());
                }
                inside
            }
            Some(c) => Tree::CharSet(CharSet::one(c)),
        })
    }

    fn class(&mut self) -> Result<CharSet, String> {
        let open = || "a \"[\" without its \"]\"; write \"\\[\" for the character".to_string();
        let mut set = CharSet { negated: self.eat("^"), ..CharSet::default() };
        let mut first = true;
        loop {
            if self.rest.starts_with("[:") {
                return Err("\"[:name:]\" is not known here; write the characters, such as \"a-z\"".into());
            }
            let low = match self.next().ok_or_else(open)? {
                ']' if !first => return Ok(set),
                '\\' => self.escape()?,
                c => CharSet::one(c),
            };
            first = false;
            let single = low.ranges.first().filter(|(a, b)| a == b && low.ranges.len() == 1 && !low.negated);
            match single.copied() {
                Some((from, _)) if self.rest.starts_with('-') && !self.rest.starts_with("-]") => {
                    self.eat("-");
                    let to = match self.next().ok_or_else(open)? {
                        '\\' => self.escape()?.ranges.first().map_or('\0', |(c, _)| *c),
                        c => c,
                    };
                    if to < from {
                        return Err(format!("the range \"{from}-{to}\" is empty"));
                    }
                    set.ranges.push((from, to));
                }
                _ => set.ranges.extend(low.into_ranges()),
            }
        }
    }

    fn escape(&mut self) -> Result<CharSet, String> {
        let c = self.next().ok_or("ends in a backslash that protects nothing")?;
        let ranges: &[(char, char)] = match c.to_ascii_lowercase() {
            'd' => &[('0', '9')],
            'w' => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
            's' => &[('\t', '\r'), (' ', ' ')],
            _ => &[],
        };
        if !ranges.is_empty() {
            return Ok(CharSet { ranges: ranges.to_vec(), negated: c.is_ascii_uppercase() });
        }
        Ok(CharSet::one(match c {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            c if c.is_ascii_alphanumeric() => return Err(format!("\"\\{c}\" is not known here")),
            c => c,
        }))
    }
}

fn compile(tree: &Tree, program: &mut Vec<Instruction>) -> Result<(), String> {
    if program.len() > MAX_STEPS {
        return Err("repeats too much; it would take too much memory".into());
    }
    match tree {
        Tree::Empty => {}
        Tree::CharSet(set) => program.push(Instruction::Take(set.clone())),
        Tree::Start => program.push(Instruction::Start),
        Tree::End => program.push(Instruction::End),
        Tree::Sequence(items) => items.iter().try_for_each(|item| compile(item, program))?,
        Tree::Choice(branches) => {
            let mut jumps = Vec::new();
            for (n, branch) in branches.iter().enumerate() {
                if n + 1 == branches.len() {
                    compile(branch, program)?;
                    break;
                }
                let split = reserve(program);
                compile(branch, program)?;
                jumps.push(reserve(program));
                let end = program.len();
                patch(program, split, Instruction::Split(split + 1, end));
            }
            let end = program.len();
            jumps.into_iter().for_each(|jump| patch(program, jump, Instruction::Jump(end)));
        }
        Tree::Repeat(item, min, max) => {
            for _ in 0..*min {
                compile(item, program)?;
            }
            let Some(max) = max else {
                let split = reserve(program);
                compile(item, program)?;
                program.push(Instruction::Jump(split));
                let end = program.len();
                patch(program, split, Instruction::Split(split + 1, end));
                return Ok(());
            };
            let mut splits = Vec::new();
            for _ in *min..*max {
                splits.push(reserve(program));
                compile(item, program)?;
            }
            let end = program.len();
            splits.into_iter().for_each(|split| patch(program, split, Instruction::Split(split + 1, end)));
        }
    }
    Ok(())
}

fn reserve(program: &mut Vec<Instruction>) -> usize {
    program.push(Instruction::Match);
    program.len() - 1
}

fn patch(program: &mut [Instruction], at: usize, step: Instruction) {
    if let Some(place) = program.get_mut(at) {
        *place = step;
    }
}

#[cfg(test)]
mod tests;
