//! Reads a policy's expression as `pg_get_expr` writes it, just far enough to tell whether it is the tenant test.

/// What a policy's expression does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    /// It requires the tenant column to equal the transaction's tenant.
    Tenant,
    /// The same, but the column goes through a cast, so that its index is lost.
    TenantCast,
    /// It is true for every row.
    Always,
    /// It is the tenant test or something else.
    Or,
    /// It lets unscoped transactions through, alone or besides the tenant's.
    Unscoped,
    /// It reads a setting that is not the tenant's.
    OtherSetting(String),
    /// None of these.
    Other,
}

/// What counts as the tenant of the transaction.
pub(super) struct Known<'a> {
    pub(super) column: &'a str,
    pub(super) setting: &'a str,
    /// Names of functions without arguments that return the setting.
    pub(super) functions: &'a [String],
    /// Names of functions without arguments that do nothing but raise an error.
    pub(super) raisers: &'a [String],
}

/// What `guardian_sql` sets in a transaction that crosses tenants with leave.
const UNSCOPED: &str = "guardian.unscoped";
/// Longer expressions are not read; no generated policy comes near.
const MAX_TOKENS: usize = 20_000;
/// Deeper ones neither.
const MAX_DEPTH: usize = 64;

pub(super) fn classify(expression: &str, known: &Known<'_>) -> Test {
    let tokens = tokens(expression);
    if tokens.len() > MAX_TOKENS {
        return Test::Other;
    }
    let test = known.classify(&tokens, 0);
    match known.foreign_setting(&tokens) {
        Some(name) if !matches!(test, Test::Tenant | Test::TenantCast | Test::Unscoped) => {
            Test::OtherSetting(name)
        }
        _ => test,
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A name or keyword; keywords and unquoted names in lower case.
    Word(String),
    /// A name in quotes, which is no keyword.
    Quoted(String),
    Text(String),
    Number(String),
    Symbol(String),
}

impl Token {
    fn is(&self, text: &str) -> bool {
        matches!(self, Self::Word(word) | Self::Symbol(word) if word == text)
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Word(name) | Self::Quoted(name) => Some(name),
            _ => None,
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '\'' | '"' => {
                let mut inside = String::new();
                while let Some(next) = chars.next() {
                    if next == c {
                        if chars.next_if_eq(&c).is_none() {
                            break;
                        }
                        inside.push(c);
                    } else {
                        inside.push(next);
                    }
                }
                tokens.push(if c == '"' { Token::Quoted(inside) } else { Token::Text(inside) });
            }
            c if c.is_alphabetic() || c == '_' => {
                let mut word = c.to_lowercase().to_string();
                while let Some(next) = chars.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '$')) {
                    word.extend(next.to_lowercase());
                }
                tokens.push(Token::Word(word));
            }
            c if c.is_ascii_digit() => {
                let mut number = c.to_string();
                while let Some(next) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '.') {
                    number.push(next);
                }
                tokens.push(Token::Number(number));
            }
            '(' | ')' | ',' | '[' | ']' | '.' => tokens.push(Token::Symbol(c.to_string())),
            c => {
                let mut symbol = c.to_string();
                while let Some(next) = chars.next_if(|c| "=<>!~@#%^&|?+-*/:".contains(*c)) {
                    symbol.push(next);
                }
                tokens.push(Token::Symbol(symbol));
            }
        }
    }
    tokens
}

/// The pieces between separators that stand outside of all parentheses.
fn split<'t>(tokens: &'t [Token], separator: &str) -> Vec<&'t [Token]> {
    let mut pieces = Vec::new();
    let (mut depth, mut start) = (0_usize, 0_usize);
    for (at, token) in tokens.iter().enumerate() {
        if token.is("(") || token.is("[") {
            depth += 1;
        } else if token.is(")") || token.is("]") {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && token.is(separator) {
            pieces.push(tokens.get(start..at).unwrap_or_default());
            start = at + 1;
        }
    }
    pieces.push(tokens.get(start..).unwrap_or_default());
    pieces
}

/// The expression without parentheses around all of it.
fn bare(mut tokens: &[Token]) -> &[Token] {
    while let [first, inside @ .., last] = tokens {
        let mut depth = 0_usize;
        let closes_early = inside.iter().any(|token| {
            if token.is("(") {
                depth += 1;
            } else if token.is(")") {
                if depth == 0 {
                    return true;
                }
                depth -= 1;
            }
            false
        });
        if !(first.is("(") && last.is(")")) || closes_early {
            break;
        }
        tokens = inside;
    }
    tokens
}

/// The expression without casts, parentheses, and a SELECT of nothing but itself around it; and whether there was a cast.
fn value(tokens: &[Token], depth: usize) -> (&[Token], bool) {
    let tokens = bare(tokens);
    if depth > MAX_DEPTH {
        return (tokens, false);
    }
    if let [first, rest @ ..] = tokens
        && first.is("select")
    {
        let named = split(rest, "as");
        if let [inside] | [inside, [_]] = named.as_slice()
            && !inside.iter().any(|token| token.is("from"))
        {
            return value(inside, depth + 1);
        }
    }
    if let [inside, kind] = split(tokens, "::").as_slice()
        && kind.iter().all(|token| !token.is("and") && !token.is("or"))
    {
        return (value(inside, depth + 1).0, true);
    }
    if let [first, arguments @ ..] = tokens
        && (first.is("nullif") || first.is("coalesce"))
        && let [inside, other] = split(bare(arguments), ",").as_slice()
        && matches!(value(other, depth + 1).0, [Token::Text(_) | Token::Word(_)])
        && value(other, depth + 1).0.iter().all(|token| !matches!(token, Token::Word(word) if word != "null"))
    {
        // `COALESCE(setting, 'acme')` would be a tenant by default.
        let harmless = matches!(value(other, depth + 1).0, [Token::Text(text)] if text.is_empty())
            || matches!(value(other, depth + 1).0, [Token::Word(_)]);
        if harmless {
            return value(inside, depth + 1);
        }
    }
    (tokens, false)
}

impl Known<'_> {
    fn classify(&self, tokens: &[Token], depth: usize) -> Test {
        let tokens = bare(tokens);
        if depth > MAX_DEPTH {
            return Test::Other;
        }
        let branches = split(tokens, "or");
        if branches.len() > 1 {
            let tests: Vec<_> = branches.iter().map(|branch| self.classify(branch, depth + 1)).collect();
            if tests.iter().all(|test| *test == Test::Tenant) {
                return Test::Tenant;
            }
            if tests.contains(&Test::Always) {
                return Test::Always;
            }
            if tests.iter().all(|test| matches!(test, Test::Tenant | Test::Unscoped)) {
                return Test::Unscoped;
            }
            let tenant = |test: &Test| matches!(test, Test::Tenant | Test::TenantCast | Test::Or);
            return if tests.iter().any(tenant) { Test::Or } else { Test::Other };
        }
        let conjuncts = split(tokens, "and");
        if conjuncts.len() > 1 {
            let tests: Vec<_> = conjuncts.iter().map(|part| self.classify(part, depth + 1)).collect();
            for strongest in [Test::Tenant, Test::TenantCast, Test::Unscoped, Test::Or] {
                if tests.contains(&strongest) {
                    return strongest;
                }
            }
            let always = tests.iter().all(|test| *test == Test::Always);
            return if always { Test::Always } else { Test::Other };
        }
        self.leaf(tokens)
    }

    fn leaf(&self, tokens: &[Token]) -> Test {
        match tokens {
            [only] if only.is("true") => return Test::Always,
            [.., column, is, not, null]
                if is.is("is") && not.is("not") && null.is("null") && column.name() == Some(self.column) =>
            {
                return Test::Always;
            }
            _ => {}
        }
        let [left, right] = split(tokens, "=").as_slice().try_into().unwrap_or([&[][..], &[][..]]);
        if left.is_empty() || right.is_empty() {
            return Test::Other;
        }
        let ((left, left_cast), (right, right_cast)) = (value(left, 0), value(right, 0));
        if left == right {
            return Test::Always;
        }
        if matches!(right, [Token::Text(on)] if on == "on") && self.reads(left, UNSCOPED) {
            return Test::Unscoped;
        }
        let cast = match (self.is_column(left), self.is_column(right)) {
            (true, false) if self.is_tenant(right) => left_cast,
            (false, true) if self.is_tenant(left) => right_cast,
            _ => return Test::Other,
        };
        if cast { Test::TenantCast } else { Test::Tenant }
    }

    fn is_column(&self, tokens: &[Token]) -> bool {
        match tokens {
            [name] => name.name() == Some(self.column),
            [table, dot, name] => table.name().is_some() && dot.is(".") && name.name() == Some(self.column),
            _ => false,
        }
    }

    /// Whether the tokens are `COALESCE(NULLIF(setting, ''), raise())`, or the same as a CASE.
    fn is_strict(&self, tokens: &[Token]) -> bool {
        if let [coalesce, arguments @ ..] = tokens
            && coalesce.is("coalesce")
        {
            return match split(bare(arguments), ",").as_slice() {
                [setting, raise] => self.is_raiser(raise) && self.reads(value(setting, 0).0, self.setting),
                _ => false,
            };
        }
        self.is_strict_case(tokens)
    }

    /// Whether the tokens call a function that does nothing but raise an error.
    fn is_raiser(&self, tokens: &[Token]) -> bool {
        match tokens {
            [name, open, close] | [_, _, name, open, close] => {
                open.is("(") && close.is(")") && self.raisers.iter().any(|known| name.name() == Some(known))
            }
            _ => false,
        }
    }

    /// Whether the tokens are `CASE WHEN setting <> '' THEN setting ELSE raise() END`.
    fn is_strict_case(&self, tokens: &[Token]) -> bool {
        let [case, when, inside @ .., end] = tokens else { return false };
        let pair = |tokens, separator| {
            let pieces = split(tokens, separator);
            if let [left, right] = pieces.as_slice() { Some((*left, *right)) } else { None }
        };
        let Some((condition, rest)) = pair(inside, "then") else { return false };
        let (Some((setting, raise)), Some((left, right))) = (pair(rest, "else"), pair(bare(condition), "<>"))
        else {
            return false;
        };
        case.is("case")
            && when.is("when")
            && end.is("end")
            && self.is_raiser(raise)
            && matches!(value(right, 0).0, [Token::Text(text)] if text.is_empty())
            && self.reads(value(left, 0).0, self.setting)
            && self.reads(value(setting, 0).0, self.setting)
    }

    fn is_tenant(&self, tokens: &[Token]) -> bool {
        if self.is_strict(tokens) {
            return true;
        }
        let tokens = match tokens {
            [schema, dot, rest @ ..] if schema.name().is_some() && dot.is(".") => rest,
            tokens => tokens,
        };
        let [function, arguments @ ..] = tokens else { return false };
        let Some(name) = function.name() else { return false };
        if let [open, close] = arguments
            && open.is("(")
            && close.is(")")
        {
            return self.functions.iter().any(|known| known == name);
        }
        let _ = (name, arguments);
        self.reads(tokens, self.setting)
    }

    /// Whether the tokens are the call that reads a setting.
    fn reads(&self, tokens: &[Token], setting: &str) -> bool {
        let [function, arguments @ ..] = tokens else { return false };
        if !function.is("current_setting") {
            return false;
        }
        let arguments = split(bare(arguments), ",");
        let read = arguments.first().map(|first| value(first, 0).0);
        matches!(read, Some([Token::Text(text)]) if text == setting) && arguments.len() <= 2
    }

    /// A setting that the expression reads and that is not the tenant's.
    fn foreign_setting(&self, tokens: &[Token]) -> Option<String> {
        tokens.windows(3).find_map(|window| match window {
            [function, open, Token::Text(name)]
                if function.is("current_setting") && open.is("(") && name != self.setting =>
            {
                Some(name.clone())
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(expression: &str) -> Test {
        let (functions, raisers) = (["current_tenant".to_owned()], ["no_tenant".to_owned()]);
        let known = Known {
            column: "tenant_id",
            setting: "guardian.tenant",
            functions: &functions,
            raisers: &raisers,
        };
        classify(expression, &known)
    }

    #[test]
    fn the_tenant_test_is_known_in_its_many_forms() {
        for expression in [
            "(tenant_id = guardian.current_tenant())",
            "(tenant_id = current_tenant())",
            "(tenant_id = ( SELECT guardian.current_tenant() AS current_tenant))",
            "(tenant_id = current_setting('guardian.tenant'::text))",
            "(tenant_id = NULLIF(current_setting('guardian.tenant'::text, true), ''::text))",
            "(tenant_id = (NULLIF(current_setting('guardian.tenant'::text, true), ''::text))::uuid)",
            "((tenant_id = current_tenant()) AND (deleted = false))",
            "(current_setting('guardian.tenant'::text) = tenant_id)",
            "(\"guardian\".\"current_tenant\"() = d.tenant_id)",
            "(tenant_id = CASE WHEN (current_setting('guardian.tenant'::text, true) <> ''::text) THEN \
             current_setting('guardian.tenant'::text, true) ELSE guardian.no_tenant() END)",
            "(tenant_id = (CASE WHEN (current_setting('guardian.tenant'::text, true) <> ''::text) THEN \
             current_setting('guardian.tenant'::text, true) ELSE no_tenant() END)::uuid)",
            "(tenant_id = COALESCE(NULLIF(current_setting('guardian.tenant'::text, true), ''::text), guardian.no_tenant()))",
            "(tenant_id = (COALESCE(NULLIF(current_setting('guardian.tenant'::text, true), ''::text), no_tenant()))::bigint)",
        ] {
            assert_eq!(test(expression), Test::Tenant, "{expression}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_told_apart() {
        for (expression, expected) in [
            ("true", Test::Always),
            ("((1 = 1) OR (tenant_id = current_tenant()))", Test::Always),
            ("(tenant_id = tenant_id)", Test::Always),
            ("(tenant_id IS NOT NULL)", Test::Always),
            ("((tenant_id = current_tenant()) OR public)", Test::Or),
            ("((tenant_id = current_tenant()) OR (tenant_id = 'shared'::text))", Test::Or),
            ("(tenant_id = current_setting('app.tenant'::text))", Test::OtherSetting("app.tenant".into())),
            ("(tenant_id <> current_tenant())", Test::Other),
            ("(tenant_id >= current_tenant())", Test::Other),
            ("(NOT (tenant_id = current_tenant()))", Test::Other),
            ("(owner = current_tenant())", Test::Other),
            (
                "(tenant_id = COALESCE(current_setting('guardian.tenant'::text, true), 'acme'::text))",
                Test::Other,
            ),
            (
                "(tenant_id = COALESCE(current_setting('guardian.tenant'::text, true), tenant_id))",
                Test::Other,
            ),
            (
                "(tenant_id = COALESCE(NULLIF(current_setting('guardian.tenant'::text, true), ''::text), tenant_id))",
                Test::Other,
            ),
            (
                "(tenant_id = COALESCE(NULLIF(current_setting('guardian.tenant'::text, true), ''::text), default_tenant()))",
                Test::Other,
            ),
            (
                "(tenant_id = COALESCE(NULLIF(current_setting('guardian.tenant'::text, true), ''::text), no_tenant(), tenant_id))",
                Test::Other,
            ),
            ("(tenant_id = ( SELECT current_tenant() AS t FROM other))", Test::Other),
            ("((tenant_id)::text = current_setting('guardian.tenant'::text))", Test::TenantCast),
            (
                "(tenant_id = CASE WHEN (current_setting('guardian.tenant'::text, true) <> ''::text) THEN \
                 current_setting('guardian.tenant'::text, true) ELSE tenant_id END)",
                Test::Other,
            ),
            (
                "(tenant_id = CASE WHEN (current_setting('guardian.tenant'::text, true) <> 'x'::text) THEN \
                 tenant_id ELSE no_tenant() END)",
                Test::Other,
            ),
            ("", Test::Other),
            (")(", Test::Other),
        ] {
            assert_eq!(test(expression), expected, "{expression}");
        }
    }
}
