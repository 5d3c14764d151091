//! The grammar of SOQL.

use super::ast::{Aggregate, Expr, Function, Item, Literal, Name, Op, Order, Query, Shown, TypeOf};
use super::lexer::{Kind, Token, tokens};
use super::{QueryError, dates};
use crate::switches::Switches;

/// Maximum nesting depth of conditions: far more than real statements have, and safe for the stack.
const MAX_DEPTH: usize = 64;

/// Parses a statement.
pub(crate) fn parse(text: &str, switches: &Switches) -> Result<Query, QueryError> {
    let length = text.chars().count();
    if length > switches.soql_limit {
        let message = format!(
            "SOQL statements cannot be longer than {} characters.",
            switches.soql_limit
        );
        return Err(QueryError::new("MALFORMED_QUERY", message));
    }
    if switches
        .too_complicated_at
        .is_some_and(|limit| length >= limit)
    {
        return Err(QueryError::new(
            "QUERY_TOO_COMPLICATED",
            "Query is either selecting too many fields or the filter conditions are too complicated.",
        ));
    }
    let mut parser = Parser {
        tokens: tokens(text, switches.literal_limit)?,
        next: 0,
        depth: 0,
        aggregates: false,
    };
    let query = parser.query()?;
    parser.expect_end()?;
    Ok(query)
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    /// Whether conditions may be about groups: in HAVING.
    aggregates: bool,
}

const END: Kind = Kind::End;

impl Parser {
    fn peek(&self) -> &Kind {
        self.tokens.get(self.next).map_or(&END, |token| &token.kind)
    }

    fn peek_after(&self) -> &Kind {
        self.tokens
            .get(self.next + 1)
            .map_or(&END, |token| &token.kind)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |token| token.at)
    }

    fn unexpected<T>(&self) -> Result<T, QueryError> {
        Err(QueryError::unexpected(&self.peek().shown(), self.at()))
    }

    fn is_word(&self, keyword: &str) -> bool {
        matches!(self.peek(), Kind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn take_word(&mut self, keyword: &str) -> bool {
        let found = self.is_word(keyword);
        self.next += usize::from(found);
        found
    }

    fn expect_word(&mut self, keyword: &str) -> Result<(), QueryError> {
        if self.take_word(keyword) {
            Ok(())
        } else {
            self.unexpected()
        }
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Kind::Symbol(found) if *found == symbol);
        self.next += usize::from(found);
        found
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<(), QueryError> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            self.unexpected()
        }
    }

    fn expect_end(&self) -> Result<(), QueryError> {
        if *self.peek() == Kind::End {
            Ok(())
        } else {
            self.unexpected()
        }
    }

    fn any_word(&mut self) -> Result<String, QueryError> {
        match self.peek().clone() {
            Kind::Word(word) => {
                self.next += 1;
                Ok(word)
            }
            _ => self.unexpected(),
        }
    }

    fn name(&mut self) -> Result<Name, QueryError> {
        let at = self.at();
        let word = self.any_word()?;
        let parts: Vec<String> = word.split('.').map(str::to_owned).collect();
        if parts.iter().any(String::is_empty) {
            return Err(QueryError::unexpected(&word, at));
        }
        Ok(Name { parts, at })
    }

    fn query(&mut self) -> Result<Query, QueryError> {
        self.expect_word("SELECT")?;
        let mut select = vec![self.item()?];
        while self.take_symbol(",") {
            select.push(self.item()?);
        }
        self.expect_word("FROM")?;
        let from_at = self.at();
        let from = self.any_word()?;
        const CLAUSES: [&str; 9] = [
            "WHERE", "WITH", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "FOR", "USING",
        ];
        let has_alias = matches!(self.peek(), Kind::Word(word) if !CLAUSES.iter().any(|c| word.eq_ignore_ascii_case(c)));
        // An alias is a name before a clause, a parenthesis or the end. Any other name is a
        // misspelled clause.
        let clause_follows = match self.peek_after() {
            Kind::End | Kind::Symbol(")") => true,
            Kind::Word(word) => CLAUSES.iter().any(|c| word.eq_ignore_ascii_case(c)),
            _ => false,
        };
        let alias = if has_alias && clause_follows {
            Some(self.any_word()?)
        } else {
            None
        };
        let filter = if self.take_word("WHERE") {
            Some(self.condition()?)
        } else {
            None
        };
        if self.take_word("WITH") {
            self.any_word()?;
        }
        let group = if self.take_word("GROUP") {
            self.group()?
        } else {
            Vec::new()
        };
        let having = if self.take_word("HAVING") {
            self.aggregates = true;
            let condition = self.condition();
            self.aggregates = false;
            Some(condition?)
        } else {
            None
        };
        let order = if self.take_word("ORDER") {
            self.order()?
        } else {
            Vec::new()
        };
        let limit = if self.take_word("LIMIT") {
            Some(self.count()?)
        } else {
            None
        };
        let offset = if self.take_word("OFFSET") {
            Some(self.count()?)
        } else {
            None
        };
        if self.take_word("FOR") {
            self.any_word()?;
        }
        Ok(Query {
            select,
            from,
            from_at,
            alias,
            filter,
            group,
            having,
            order,
            limit,
            offset,
        })
    }

    fn item(&mut self) -> Result<Item, QueryError> {
        if self.take_symbol("(") {
            let query = self.nested(Self::query)?;
            self.expect_symbol(")")?;
            return Ok(Item::Children(Box::new(query)));
        }
        let name = self.name()?;
        if name.parts[0].eq_ignore_ascii_case("TYPEOF") && matches!(self.peek(), Kind::Word(_)) {
            return self.type_of();
        }
        if !self.take_symbol("(") {
            return Ok(Item::Field(name, self.alias()?));
        }
        let word = name.parts[0].to_ascii_uppercase();
        let shown = match word.as_str() {
            "TOLABEL" => Some(Shown::Label),
            "FORMAT" => Some(Shown::Format),
            _ => None,
        };
        if let Some(shown) = shown {
            let of = self.name()?;
            self.expect_symbol(")")?;
            return Ok(Item::Shown(shown, of, self.alias()?));
        }
        match (word.as_str(), Function::named(&word)) {
            ("COUNT", _) if self.take_symbol(")") => Ok(Item::Count),
            (_, Some(function)) => {
                let aggregate = self.aggregate(function)?;
                Ok(Item::Aggregate(aggregate, self.alias()?))
            }
            ("FIELDS", None) => {
                let which = self.any_word()?;
                self.expect_symbol(")")?;
                Ok(Item::Fields(which))
            }
            _ => Err(QueryError::unexpected("(", name.at)),
        }
    }

    /// The rest of a function after its parenthesis.
    fn aggregate(&mut self, function: Function) -> Result<Aggregate, QueryError> {
        let of = self.name()?;
        self.expect_symbol(")")?;
        Ok(Aggregate { function, of })
    }

    fn alias(&mut self) -> Result<Option<String>, QueryError> {
        let ends = match self.peek_after() {
            Kind::Symbol(",") => true,
            Kind::Word(word) => word.eq_ignore_ascii_case("FROM"),
            _ => false,
        };
        match self.peek() {
            Kind::Word(word) if ends && !word.eq_ignore_ascii_case("FROM") => {
                self.any_word().map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The rest of a `TYPEOF` after that word.
    fn type_of(&mut self) -> Result<Item, QueryError> {
        let relationship = self.name()?;
        let mut whens = Vec::new();
        while self.take_word("WHEN") {
            let object = self.any_word()?;
            self.expect_word("THEN")?;
            whens.push((object, self.names()?));
        }
        if whens.is_empty() {
            return self.unexpected();
        }
        let otherwise = if self.take_word("ELSE") {
            self.names()?
        } else {
            Vec::new()
        };
        self.expect_word("END")?;
        Ok(Item::TypeOf(TypeOf {
            relationship,
            whens,
            otherwise,
        }))
    }

    fn names(&mut self) -> Result<Vec<Name>, QueryError> {
        let mut names = vec![self.name()?];
        while self.take_symbol(",") {
            names.push(self.name()?);
        }
        Ok(names)
    }

    fn group(&mut self) -> Result<Vec<Name>, QueryError> {
        self.expect_word("BY")?;
        self.names()
    }

    fn nested<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        if self.depth == MAX_DEPTH {
            return Err(QueryError::malformed(
                "too many levels of parentheses",
                self.at(),
            ));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Parses conditions joined by AND, or by OR; a mix at one level needs parentheses.
    fn condition(&mut self) -> Result<Expr, QueryError> {
        let first = self.nested(Self::term)?;
        let (joint, build): (_, fn(Vec<Expr>) -> Expr) = if self.is_word("AND") {
            ("AND", Expr::And)
        } else if self.is_word("OR") {
            ("OR", Expr::Or)
        } else {
            return Ok(first);
        };
        let mut parts = vec![first];
        while self.take_word(joint) {
            parts.push(self.nested(Self::term)?);
        }
        if self.is_word("AND") || self.is_word("OR") {
            return self.unexpected();
        }
        Ok(build(parts))
    }

    fn term(&mut self) -> Result<Expr, QueryError> {
        if self.take_word("NOT") {
            return Ok(Expr::Not(Box::new(self.nested(Self::term)?)));
        }
        if self.take_symbol("(") {
            let inner = self.condition()?;
            self.expect_symbol(")")?;
            return Ok(inner);
        }
        let name = self.name()?;
        let function = Function::named(&name.parts[0]).filter(|_| self.aggregates);
        if let Some(function) = function
            && self.take_symbol("(")
        {
            let aggregate = self.aggregate(function)?;
            let op = self.op()?;
            let literal = self.literal()?;
            return Ok(Expr::CompareAggregate {
                aggregate,
                op,
                literal,
            });
        }
        if self.take_word("NOT") {
            self.expect_word("IN")?;
            return self.list(name, true);
        }
        if self.take_word("IN") {
            return self.list(name, false);
        }
        let op = self.op()?;
        let literal = self.literal()?;
        Ok(Expr::Compare { name, op, literal })
    }

    fn op(&mut self) -> Result<Op, QueryError> {
        let op = match self.peek() {
            Kind::Symbol("=") => Op::Eq,
            Kind::Symbol("!=" | "<>") => Op::Ne,
            Kind::Symbol("<") => Op::Lt,
            Kind::Symbol("<=") => Op::Le,
            Kind::Symbol(">") => Op::Gt,
            Kind::Symbol(">=") => Op::Ge,
            Kind::Word(word) if word.eq_ignore_ascii_case("LIKE") => Op::Like,
            _ => return self.unexpected(),
        };
        self.next += 1;
        Ok(op)
    }

    fn list(&mut self, name: Name, negated: bool) -> Result<Expr, QueryError> {
        self.expect_symbol("(")?;
        if self.is_word("SELECT") {
            let query = Box::new(self.nested(Self::query)?);
            self.expect_symbol(")")?;
            return Ok(Expr::SemiJoin {
                name,
                negated,
                query,
            });
        }
        let mut list = vec![self.literal()?];
        while self.take_symbol(",") {
            list.push(self.literal()?);
        }
        self.expect_symbol(")")?;
        Ok(Expr::In {
            name,
            negated,
            list,
        })
    }

    fn literal(&mut self) -> Result<Literal, QueryError> {
        let literal = match self.peek().clone() {
            Kind::Text(text) => Literal::Text(text),
            Kind::Int(number) => Literal::Int(number),
            Kind::Double(number) => Literal::Double(number),
            Kind::Date(date) => Literal::Date(date),
            Kind::DateTime(at) => Literal::DateTime(at),
            Kind::Word(word) => match word.to_ascii_lowercase().as_str() {
                "true" => Literal::Bool(true),
                "false" => Literal::Bool(false),
                "null" => Literal::Null,
                _ if dates::is_span(&word) => {
                    self.next += 1;
                    let n = if self.take_symbol(":") {
                        Some(self.integer()?)
                    } else {
                        None
                    };
                    return Ok(Literal::Span(word, n));
                }
                _ => return self.unexpected(),
            },
            _ => return self.unexpected(),
        };
        self.next += 1;
        Ok(literal)
    }

    fn order(&mut self) -> Result<Vec<Order>, QueryError> {
        self.expect_word("BY")?;
        let mut keys = Vec::new();
        loop {
            let mut name = self.name()?;
            let mut function = None;
            if self.take_symbol("(") {
                function = Function::named(&name.parts[0]);
                if function.is_none() {
                    return Err(QueryError::unexpected("(", name.at));
                }
                name = self.name()?;
                self.expect_symbol(")")?;
            }
            let descending = if self.take_word("DESC") {
                true
            } else {
                self.take_word("ASC");
                false
            };
            let nulls_last = if self.take_word("NULLS") {
                let last = self.take_word("LAST");
                if !last {
                    self.expect_word("FIRST")?;
                }
                last
            } else {
                false
            };
            keys.push(Order {
                name,
                function,
                descending,
                nulls_last,
            });
            if !self.take_symbol(",") {
                return Ok(keys);
            }
        }
    }

    fn integer(&mut self) -> Result<i64, QueryError> {
        match *self.peek() {
            Kind::Int(number) => {
                self.next += 1;
                Ok(number)
            }
            _ => self.unexpected(),
        }
    }

    fn count(&mut self) -> Result<u64, QueryError> {
        let at = self.at();
        let number = self.integer()?;
        u64::try_from(number).map_err(|_| QueryError::unexpected(&number.to_string(), at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Query, QueryError> {
        parse(text, &Switches::default())
    }

    fn message(text: &str) -> String {
        let error = parsed(text).unwrap_err();
        assert_eq!(error.code, "MALFORMED_QUERY", "{text}");
        error.message
    }

    #[test]
    fn a_whole_statement() {
        let query = parsed(
            "select Id, Account.Name from Contact c where (c.Phone in ('1','2') or not MobilePhone like '9%') and IsDeleted = false \
             order by LastModifiedDate desc nulls last, Id limit 5 offset 10",
        )
        .unwrap();
        assert_eq!(query.select.len(), 2);
        assert_eq!(query.alias.as_deref(), Some("c"));
        assert!(matches!(&query.filter, Some(Expr::And(parts)) if parts.len() == 2));
        assert_eq!((query.limit, query.offset), (Some(5), Some(10)));
        assert!(
            query.order[0].descending && query.order[0].nulls_last && !query.order[1].nulls_last
        );
    }

    #[test]
    fn mistakes_name_the_token() {
        assert_eq!(
            message("SELECT Id FORM Contact"),
            "unexpected token: 'FORM'"
        );
        assert_eq!(
            message("SELECT FROM Contact"),
            "unexpected token: 'Contact'"
        );
        assert_eq!(
            message("SELECT Id FROM Contact WHERE a = 1 OR b = 2 AND c = 3"),
            "unexpected token: 'AND'"
        );
        assert_eq!(
            message("SELECT Id FROM Contact WHERE a = 1 AND b = 2 OR c = 3"),
            "unexpected token: 'OR'"
        );
        assert_eq!(
            message("SELECT Id FROM Contact WHERE"),
            "unexpected token: '<EOF>'"
        );
        assert_eq!(
            message("SELECT Id FROM Contact WHERE a = b"),
            "unexpected token: 'b'"
        );
        assert_eq!(
            message("SELECT Id FROM Contact WHERE a IN ()"),
            "unexpected token: ')'"
        );
        assert_eq!(
            message("SELECT Id FROM Contact LIMIT -1"),
            "unexpected token: '-1'"
        );
        assert_eq!(
            message("SELECT Id FROM Contact WERE a = 1"),
            "unexpected token: 'WERE'"
        );
        assert_eq!(
            message("SELECT Id FROM Contact; DROP"),
            "unexpected token: ';'"
        );
    }

    #[test]
    fn sizes_are_limited() {
        let long = format!(
            "SELECT Id FROM Contact WHERE Name = '{}'",
            "x".repeat(4_001)
        );
        assert_eq!(parsed(&long).unwrap_err().code, "MALFORMED_QUERY");
        let padded = format!("SELECT Id FROM Contact{}", " ".repeat(100_000));
        assert!(message(&padded).contains("100000"));
        let deep = format!(
            "SELECT Id FROM Contact WHERE {}a = 1{}",
            "(".repeat(5_000),
            ")".repeat(5_000)
        );
        assert!(message(&deep).contains("levels"));
        let strict = Switches {
            too_complicated_at: Some(10),
            ..Switches::default()
        };
        assert_eq!(
            parse("SELECT Id FROM Contact", &strict).unwrap_err().code,
            "QUERY_TOO_COMPLICATED"
        );
    }

    proptest! {
        #[test]
        fn no_input_breaks_it(words in proptest::collection::vec(
            prop_oneof!["SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "LIKE", "\\(", "\\)", ",", "=", "'x'", "Id", "a\\.b", "1", "null"], 0..25))
        {
            let _ = parsed(&words.join(" "));
        }
    }
}
