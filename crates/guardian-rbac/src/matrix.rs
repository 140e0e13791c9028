//! Roles by permissions.

use std::fmt;

use serde::Serialize;

use crate::snapshot::roles::place;
use crate::{Effect, Permission, RoleId, Snapshot};

/// What a role says about a permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MatrixCell {
    /// Nothing.
    None,
    /// It gives it by a rule of its own.
    Own,
    /// It gives it by a rule of this role, from which it inherits.
    Inherited(RoleId),
    /// It takes it, by a rule of this role.
    Denied(RoleId),
    /// It gives or takes it in some areas, at some times, or under conditions.
    Conditional,
}

/// What each role says about each permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Matrix {
    /// The permissions, one for each column, in the order of the catalog.
    pub permissions: Vec<Permission>,
    /// The roles, ordered by name, with a cell for each permission.
    pub rows: Vec<(RoleId, Vec<MatrixCell>)>,
}

impl Snapshot {
    /// What each role says about each permission. O(roles × permissions).
    #[must_use]
    pub fn matrix(&self) -> Matrix {
        let permissions = self.catalog().permissions().map(|(_, permission)| permission.clone()).collect();
        let mut rows: Vec<(RoleId, Vec<MatrixCell>)> = (0..crate::snapshot::roles::number(self.roles.len()))
            .filter(|role| self.roles.own(*role).is_some())
            .filter_map(|role| {
                let cells =
                    self.catalog().permissions().map(|(handle, _)| self.matrix_cell(role, place(handle)));
                Some((self.roles.id(role)?.clone(), cells.collect()))
            })
            .collect();
        rows.sort();
        Matrix { permissions, rows }
    }

    fn matrix_cell(&self, role: u32, at: (usize, u64)) -> MatrixCell {
        let cell = self.roles.cell(role, at.0);
        let by = |effect| {
            let path = self.roles.path_to_plain(role, at, effect)?;
            self.roles.id(*path.last()?).cloned()
        };
        if cell.deny & at.1 != 0 {
            return by(Effect::Deny).map_or(MatrixCell::None, MatrixCell::Denied);
        }
        if cell.special & at.1 != 0 && cell.allow & at.1 == 0 {
            return MatrixCell::Conditional;
        }
        if cell.allow & at.1 == 0 {
            return MatrixCell::None;
        }
        match by(Effect::Allow) {
            Some(holder) if self.roles.id(role) != Some(&holder) => MatrixCell::Inherited(holder),
            _ => MatrixCell::Own,
        }
    }
}

impl Ord for MatrixCell {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.letter().cmp(&other.letter())
    }
}

impl PartialOrd for MatrixCell {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl MatrixCell {
    /// One letter: `.` nothing, `X` own, `i` inherited, `-` denied, `?` it depends.
    #[must_use]
    pub fn letter(&self) -> char {
        match self {
            Self::None => '.',
            Self::Own => 'X',
            Self::Inherited(_) => 'i',
            Self::Denied(_) => '-',
            Self::Conditional => '?',
        }
    }
}

/// A table with a line for each permission and a column for each role, headed by numbers that are told above it.
impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (role, _)) in (1..).zip(&self.rows) {
            writeln!(f, "{number:>3}  {role}")?;
        }
        let width = self.permissions.iter().map(|permission| permission.as_str().len()).max().unwrap_or(0);
        write!(f, "{:width$}", "")?;
        for number in 1..=self.rows.len() {
            write!(f, " {number:>3}")?;
        }
        writeln!(f)?;
        for (at, permission) in self.permissions.iter().enumerate() {
            write!(f, "{:width$}", permission.as_str())?;
            for (_, cells) in &self.rows {
                write!(f, " {:>3}", cells.get(at).map_or('.', MatrixCell::letter))?;
            }
            writeln!(f)?;
        }
        writeln!(f, "X own, i inherited, - denied, ? in some areas, at some times or under conditions")
    }
}
