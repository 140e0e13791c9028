use super::mark::{Dice, Mark, Seeds};

/// What an operation takes in one position.
///
/// Kinds are the names under which [`Seeds`] hold values.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arg {
    /// The id of a thing: path segments, fields.
    Id(String),
    /// Several ids: bulk lists. Own and foreign ones are mixed.
    Ids(String),
    /// The id of a thing that something else is to point to: foreign keys.
    Reference(String),
    /// A value to search or filter by.
    Filter(String),
    /// Where a page begins. Values come from the seeds of the kind, and from what operations return as
    /// [`Output::cursor`](super::Output::cursor) under their name.
    Cursor(String),
    /// A tenant's id, for operations that take one besides their scope.
    Tenant,
    /// One of these words, or a word that is none of them: sort keys, directions, column names.
    Choice(Vec<String>),
    /// A whole number from this range, both ends included.
    Int(i64, i64),
    /// Free text; it is new in every call.
    Text,
}

impl Arg {
    /// [`Arg::Id`].
    #[must_use]
    pub fn id(kind: &str) -> Self {
        Self::Id(kind.to_owned())
    }

    /// [`Arg::Ids`].
    #[must_use]
    pub fn ids(kind: &str) -> Self {
        Self::Ids(kind.to_owned())
    }

    /// [`Arg::Reference`].
    #[must_use]
    pub fn reference(kind: &str) -> Self {
        Self::Reference(kind.to_owned())
    }

    /// [`Arg::Filter`].
    #[must_use]
    pub fn filter(kind: &str) -> Self {
        Self::Filter(kind.to_owned())
    }

    /// [`Arg::Cursor`].
    #[must_use]
    pub fn cursor(kind: &str) -> Self {
        Self::Cursor(kind.to_owned())
    }

    /// [`Arg::Choice`].
    #[must_use]
    pub fn choice<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Choice(words.into_iter().map(str::to_owned).collect())
    }

    /// Whether another tenant's values fit here.
    pub(super) fn is_foreign(&self) -> bool {
        !matches!(self, Self::Int(..) | Self::Text)
    }
}

/// The arguments of one call, by position from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args(Vec<Given>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    One(String),
    Many(Vec<String>),
    Int(i64),
    Nothing,
}

impl Args {
    /// The text at a position; empty when there is none, as for an absent cursor.
    #[must_use]
    pub fn text(&self, position: usize) -> &str {
        match self.0.get(position) {
            Some(Given::One(text)) => text,
            _ => "",
        }
    }

    /// The text at a position, if there is one.
    #[must_use]
    pub fn optional(&self, position: usize) -> Option<&str> {
        match self.0.get(position) {
            Some(Given::One(text)) => Some(text),
            _ => None,
        }
    }

    /// The list at a position; empty when there is none.
    #[must_use]
    pub fn list(&self, position: usize) -> &[String] {
        match self.0.get(position) {
            Some(Given::Many(list)) => list,
            _ => &[],
        }
    }

    /// The number at a position; 0 when there is none.
    #[must_use]
    pub fn int(&self, position: usize) -> i64 {
        match self.0.get(position) {
            Some(Given::Int(number)) => *number,
            _ => 0,
        }
    }

    /// Every text in it.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .flat_map(|given| match given {
                Given::One(text) => std::slice::from_ref(text),
                Given::Many(list) => list.as_slice(),
                Given::Int(_) | Given::Nothing => &[],
            })
            .map(String::as_str)
    }
}

/// A value before it is looked up in a world: ids may differ from world to world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Symbol {
    /// The value of A of this kind and place.
    Own(String, usize),
    /// The value of B of this kind and place.
    Foreign(String, usize),
    /// The same text everywhere.
    Fixed(String),
    Many(Vec<Symbol>),
    Int(i64),
    Nothing,
}

/// Texts that turn a filter, a sort key or an id into a statement, where somebody glues texts together; and patterns
/// that match everything.
const HOSTILE: [&str; 12] = [
    "' OR '1'='1",
    "' OR 1=1 --",
    "1) OR (1=1",
    "%",
    "*",
    "_%",
    "tenant_id",
    "id; SELECT 1",
    "(SELECT 1)",
    "\"tenant_id\" DESC, 1",
    "..",
    "' UNION SELECT * FROM pg_class --",
];

/// What the generator knows.
pub(super) struct Pool<'a> {
    pub(super) own: &'a Seeds,
    pub(super) foreign: &'a Seeds,
    pub(super) own_mark: &'a Mark,
    pub(super) foreign_mark: &'a Mark,
}

impl Pool<'_> {
    /// A value for a position: the tenant's own, or a foreign one.
    pub(super) fn draw(&self, arg: &Arg, foreign: bool, serial: u64, dice: &mut Dice) -> Symbol {
        match arg {
            Arg::Id(kind) | Arg::Reference(kind) => self.one(kind, foreign, dice),
            Arg::Filter(kind) if foreign => match dice.below(4) {
                0 => Symbol::Fixed(self.foreign_mark.canary().to_owned()),
                1 => Symbol::Fixed(format!("%{}%", self.foreign_mark.canary())),
                2 => hostile(dice),
                _ => self.one(kind, true, dice),
            },
            Arg::Filter(kind) => self.one(kind, false, dice),
            Arg::Cursor(kind) if !foreign && dice.below(2) == 0 => {
                let _ = kind;
                Symbol::Nothing
            }
            Arg::Cursor(kind) => match self.one(kind, foreign, dice) {
                Symbol::Fixed(_) if !foreign => Symbol::Nothing,
                drawn => drawn,
            },
            Arg::Ids(kind) => {
                let count = 1 + dice.below(4);
                let one = |dice: &mut Dice| {
                    let other = foreign && dice.below(3) > 0;
                    self.one(kind, other, dice)
                };
                let mut list: Vec<_> = (0..count).map(|_| one(dice)).collect();
                if foreign {
                    let at = dice.below(list.len() + 1);
                    list.insert(at, self.one(kind, true, dice));
                }
                Symbol::Many(list)
            }
            Arg::Tenant => {
                let mark = if foreign { self.foreign_mark } else { self.own_mark };
                Symbol::Fixed(mark.tenant().to_string())
            }
            Arg::Choice(words) => match dice.pick(words) {
                Some(word) if !foreign => Symbol::Fixed(word.clone()),
                _ => hostile(dice),
            },
            Arg::Int(least, most) => {
                let span =
                    usize::try_from(most.saturating_sub(*least).saturating_add(1)).unwrap_or(usize::MAX);
                let add = i64::try_from(dice.below(span)).unwrap_or(0);
                Symbol::Int(least.saturating_add(add).min(*most))
            }
            Arg::Text => Symbol::Fixed(format!("{} {serial}", self.own_mark.canary())),
        }
    }

    fn one(&self, kind: &str, foreign: bool, dice: &mut Dice) -> Symbol {
        let seeds = if foreign { self.foreign } else { self.own };
        let count = seeds.of(kind).len();
        let at = dice.below(count);
        match (count, foreign) {
            (0, true) => hostile(dice),
            (0, false) => Symbol::Fixed(String::new()),
            (_, true) => Symbol::Foreign(kind.to_owned(), at),
            (_, false) => Symbol::Own(kind.to_owned(), at),
        }
    }
}

fn hostile(dice: &mut Dice) -> Symbol {
    Symbol::Fixed(dice.pick(&HOSTILE).copied().unwrap_or_default().to_owned())
}

/// The values of symbols in a world whose A has these seeds; B's are those of the world where B exists.
pub(super) fn resolve(symbols: &[Symbol], own: &Seeds, foreign: &Seeds) -> Args {
    let one = |symbol: &Symbol| {
        let (seeds, kind, at) = match symbol {
            Symbol::Own(kind, at) => (own, kind, at),
            Symbol::Foreign(kind, at) => (foreign, kind, at),
            Symbol::Fixed(text) => return text.clone(),
            Symbol::Many(_) | Symbol::Int(_) | Symbol::Nothing => return String::new(),
        };
        seeds.of(kind).get(*at).cloned().unwrap_or_default()
    };
    let given = symbols.iter().map(|symbol| match symbol {
        Symbol::Many(list) => Given::Many(list.iter().map(one).collect()),
        Symbol::Int(number) => Given::Int(*number),
        Symbol::Nothing => Given::Nothing,
        single => Given::One(one(single)),
    });
    Args(given.collect())
}
