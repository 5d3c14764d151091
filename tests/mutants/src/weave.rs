//! The source with all changes in it, each behind a question whether it is the one that is played.
//!
//! What an expression becomes when it is changed stands beside it as text, unchanged otherwise:
//! only one change is played at a time. So the text grows with how deep expressions are, and not
//! with the number of changes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use proc_macro2::LineColumn;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::mutant::{Genre, Mutant, Position};

/// Number of a change: what the program under test is told. 0 is none.
pub(crate) type Number = u32;

/// A file with changes in it.
#[derive(Debug)]
pub(crate) struct Woven {
    pub text: String,
    /// Where the text of a change stands in `text`: to blame it for what does not compile.
    pub places: Vec<(Range<usize>, Number)>,
    /// What cannot be asked for while the program runs, such as the value of a constant.
    pub left_out: Vec<Number>,
    /// Arms without which a `match` has no answer for some values.
    pub unviable: Vec<Number>,
}

/// Puts `mutants` of one file into its `source`.
///
/// # Errors
///
/// The source is no Rust.
pub(crate) fn weave(source: &str, mutants: &[(Number, &Mutant)]) -> Result<Woven, syn::Error> {
    let file = syn::parse_file(source)?;
    let lines = Lines::of(source);
    let mut found = Found {
        lines: &lines,
        constant: 0,
        operators: BTreeMap::new(),
        guards: BTreeSet::new(),
        arms: BTreeMap::new(),
        fields: BTreeMap::new(),
        bodies: BTreeSet::new(),
        needed: BTreeSet::new(),
    };
    found.visit_file(&file);
    // What is put before the first statement is outside of it, though it covers nothing.
    let mut nodes: BTreeMap<(usize, bool, Reverse<usize>, Order), Node> = BTreeMap::new();
    let (mut left_out, mut unviable) = (Vec::new(), Vec::new());
    for (number, mutant) in mutants {
        let span = lines.offset(mutant.span.start)..lines.offset(mutant.span.end);
        let Some((range, order, change)) = found.change(source, mutant, &span) else {
            let list = match found.needed.contains(&span.start) {
                true => &mut unviable,
                false => &mut left_out,
            };
            list.push(*number);
            continue;
        };
        nodes
            .entry((
                range.start,
                order != Order::Statements,
                Reverse(range.end),
                order,
            ))
            .or_insert_with(|| Node {
                range,
                changes: Vec::new(),
            })
            .changes
            .push((*number, change));
    }
    let mut out = Out {
        source,
        text: String::new(),
        places: Vec::new(),
    };
    let nodes: Vec<Node> = nodes.into_values().collect();
    out.render(0..source.len(), &nodes);
    Ok(Woven {
        text: out.text,
        places: out.places,
        left_out,
        unviable,
    })
}

/// Of what begins and ends at the same places, what comes first is outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Statements,
    Arm,
    Condition,
    Expression,
}

/// What stands at one place of the source, and what it may become.
#[derive(Debug)]
struct Node {
    range: Range<usize>,
    changes: Vec<(Number, Change)>,
}

#[derive(Debug)]
enum Change {
    /// The whole becomes this text.
    Whole(String),
    /// The function ends here with this value.
    Value(String),
    /// The arm is passed over. Its pattern has no condition yet.
    PassOver,
    /// The same where there is a condition, which is what the node covers.
    PassOverUnless,
}

struct Found<'a> {
    lines: &'a Lines,
    /// How many expressions around this one are computed while the program is compiled.
    constant: usize,
    /// The expression of each operator, by where the operator begins.
    operators: BTreeMap<usize, Range<usize>>,
    /// Where conditions of arms begin.
    guards: BTreeSet<usize>,
    /// Of each arm that can be passed over, by where its pattern begins: where that ends, and its
    /// condition.
    arms: BTreeMap<usize, (usize, Option<Range<usize>>)>,
    /// The expression of each of its fields, and where the field ends with its comma.
    fields: BTreeMap<usize, (Range<usize>, usize)>,
    /// Where the first statements of functions begin.
    bodies: BTreeSet<usize>,
    /// Where the arms begin that cannot be passed over.
    needed: BTreeSet<usize>,
}

impl Found<'_> {
    /// Which text `mutant` changes, and into what; `None` where the program cannot ask.
    fn change(
        &self,
        source: &str,
        mutant: &Mutant,
        span: &Range<usize>,
    ) -> Option<(Range<usize>, Order, Change)> {
        match mutant.genre {
            Genre::BinaryOperator | Genre::UnaryOperator => {
                let whole = self.operators.get(&span.start)?;
                let text = format!(
                    "{}{}{}",
                    &source[whole.start..span.start],
                    mutant.replacement,
                    &source[span.end..whole.end]
                );
                Some((whole.clone(), Order::Expression, Change::Whole(text)))
            }
            Genre::MatchArmGuard => {
                self.guards.get(&span.start)?;
                let text = mutant.replacement.clone();
                Some((span.clone(), Order::Condition, Change::Whole(text)))
            }
            Genre::MatchArm => Some(match self.arms.get(&span.start)? {
                (_, Some(guard)) => (guard.clone(), Order::Arm, Change::PassOverUnless),
                (end, None) => (*end..*end, Order::Arm, Change::PassOver),
            }),
            Genre::StructField => {
                let (whole, end) = self.fields.get(&span.start)?;
                let text = format!(
                    "{}{}",
                    &source[whole.start..span.start],
                    &source[*end..whole.end]
                );
                Some((whole.clone(), Order::Expression, Change::Whole(text)))
            }
            Genre::FnValue => {
                self.bodies.get(&span.start)?;
                let value = mutant.replacement.clone();
                let at = span.start..span.start;
                Some((at, Order::Statements, Change::Value(value)))
            }
        }
    }

    fn range(&self, spanned: &impl Spanned) -> Range<usize> {
        let span = spanned.span();
        self.lines.of_compiler(span.start())..self.lines.of_compiler(span.end())
    }

    fn operator(&mut self, operator: &impl Spanned, whole: &impl Spanned) {
        if self.constant == 0 {
            let at = self.range(operator).start;
            self.operators.insert(at, self.range(whole));
        }
    }

    fn constant(&mut self, visit: impl FnOnce(&mut Self)) {
        self.constant += 1;
        visit(self);
        self.constant -= 1;
    }

    /// A function that is no constant one may stand within what is constant.
    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let around = std::mem::replace(
            &mut self.constant,
            usize::from(signature.constness.is_some()),
        );
        // Another value is of another type than the one that is kept secret.
        let is_secret = matches!(
            &signature.output,
            syn::ReturnType::Type(_, type_) if matches!(**type_, syn::Type::ImplTrait(_))
        );
        if let Some(first) = block.stmts.first()
            && !is_secret
            && self.constant == 0
        {
            self.bodies.insert(self.range(first).start);
        }
        self.visit_block(block);
        self.constant = around;
    }
}

impl<'ast> Visit<'ast> for Found<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block);
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.constant(|found| visit::visit_item_const(found, item));
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.constant(|found| visit::visit_item_static(found, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.constant(|found| visit::visit_impl_item_const(found, item));
    }

    fn visit_trait_item_const(&mut self, item: &'ast syn::TraitItemConst) {
        self.constant(|found| visit::visit_trait_item_const(found, item));
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.constant(|found| visit::visit_item_enum(found, item));
    }

    fn visit_expr_const(&mut self, expression: &'ast syn::ExprConst) {
        self.constant(|found| visit::visit_expr_const(found, expression));
    }

    fn visit_expr_repeat(&mut self, expression: &'ast syn::ExprRepeat) {
        self.visit_expr(&expression.expr);
        self.constant(|found| found.visit_expr(&expression.len));
    }

    fn visit_type(&mut self, type_: &'ast syn::Type) {
        self.constant(|found| visit::visit_type(found, type_));
    }

    fn visit_pat(&mut self, pattern: &'ast syn::Pat) {
        self.constant(|found| visit::visit_pat(found, pattern));
    }

    fn visit_expr_binary(&mut self, expression: &'ast syn::ExprBinary) {
        if !binds(&expression.left) && !binds(&expression.right) {
            self.operator(&expression.op, expression);
        }
        visit::visit_expr_binary(self, expression);
    }

    fn visit_expr_unary(&mut self, expression: &'ast syn::ExprUnary) {
        self.operator(&expression.op, expression);
        visit::visit_expr_unary(self, expression);
    }

    fn visit_expr_struct(&mut self, expression: &'ast syn::ExprStruct) {
        let whole = self.range(expression);
        for pair in expression.fields.pairs() {
            let at = self.range(pair.value()).start;
            let end = match pair.punct() {
                Some(comma) => self.range(comma).end,
                None => self.range(pair.value()).end,
            };
            if self.constant == 0 {
                self.fields.insert(at, (whole.clone(), end));
            }
        }
        visit::visit_expr_struct(self, expression);
    }

    fn visit_expr_match(&mut self, expression: &'ast syn::ExprMatch) {
        let takes_all: Vec<bool> = expression
            .arms
            .iter()
            .map(|arm| arm.guard.is_none() && takes_all(&arm.pat))
            .collect();
        for (index, arm) in expression.arms.iter().enumerate() {
            let others = takes_all.iter().enumerate();
            let is_needed = !others
                .into_iter()
                .any(|(other, all)| *all && other != index);
            if arm.guard.is_none() && is_needed {
                self.needed.insert(self.range(&arm.pat).start);
            }
        }
        visit::visit_expr_match(self, expression);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let condition = arm.guard.as_ref().map(|(_, condition)| &**condition);
        let pattern = self.range(&arm.pat);
        // Before a condition that binds names nothing but `&&` may stand.
        if self.constant == 0 && !condition.is_some_and(binds) {
            let guard = condition.map(|condition| self.range(condition));
            self.guards.extend(guard.as_ref().map(|guard| guard.start));
            if !self.needed.contains(&pattern.start) {
                self.arms.insert(pattern.start, (pattern.end, guard));
            }
        }
        visit::visit_arm(self, arm);
    }
}

/// Whether each value matches. Of what is named only small letters are taken for a name that is
/// bound.
fn takes_all(pattern: &syn::Pat) -> bool {
    match pattern {
        syn::Pat::Wild(_) => true,
        syn::Pat::Ident(bound) => {
            bound.subpat.is_none() && bound.ident.to_string().starts_with(char::is_lowercase)
        }
        syn::Pat::Tuple(tuple) => tuple.elems.iter().all(takes_all),
        syn::Pat::Reference(reference) => takes_all(&reference.pat),
        syn::Pat::Paren(inner) => takes_all(&inner.pat),
        _ => false,
    }
}

/// Whether the expression is a condition that binds names (`let`), alone or in a chain.
fn binds(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => binds(&binary.left) || binds(&binary.right),
        _ => false,
    }
}

struct Out<'a> {
    source: &'a str,
    text: String,
    places: Vec<(Range<usize>, Number)>,
}

impl Out<'_> {
    /// Writes `range` of the source with the `nodes` in it: by where they begin, what is outside
    /// first.
    fn render(&mut self, range: Range<usize>, nodes: &[Node]) {
        let mut at = range.start;
        let mut nodes = nodes;
        while let Some((node, others)) = nodes.split_first() {
            self.text.push_str(&self.source[at..node.range.start]);
            // An insertion covers nothing, so that nothing stands within it.
            let inside = if node.range.is_empty() {
                0
            } else {
                others.partition_point(|other| other.range.start < node.range.end)
            };
            let (inside, after) = others.split_at(inside);
            self.node(node, inside);
            at = node.range.end;
            nodes = after;
        }
        self.text.push_str(&self.source[at..range.end]);
    }

    fn node(&mut self, node: &Node, inside: &[Node]) {
        let mut whole = false;
        let mut unless = false;
        for (number, change) in &node.changes {
            let from = self.text.len();
            match change {
                Change::Whole(text) => {
                    let otherwise = if whole { " else " } else { "(" };
                    self.text.push_str(&format!(
                        "{otherwise}if crate::woven::is({number}) {{ {text} }}"
                    ));
                    whole = true;
                }
                Change::Value(value) => self.text.push_str(&format!(
                    "if crate::woven::is({number}) {{ return {value}; }}\n"
                )),
                Change::PassOver => self
                    .text
                    .push_str(&format!(" if !crate::woven::is({number})")),
                Change::PassOverUnless => {
                    self.text
                        .push_str(&format!("!crate::woven::is({number}) && ("));
                    unless = true;
                }
            }
            self.places.push((from..self.text.len(), *number));
        }
        if whole {
            self.text.push_str(" else { ");
        }
        self.render(node.range.clone(), inside);
        if whole {
            self.text.push_str(" })");
        }
        if unless {
            self.text.push(')');
        }
    }
}

/// Where the lines of a text begin.
struct Lines {
    lines: Vec<(usize, String)>,
}

impl Lines {
    fn of(source: &str) -> Self {
        let mut at = 0;
        let lines = source.split_inclusive('\n').map(|line| {
            let begin = at;
            at += line.len();
            (begin, line.to_owned())
        });
        Self {
            lines: lines.collect(),
        }
    }

    /// The byte of a place whose columns count characters from 1.
    fn offset(&self, position: Position) -> usize {
        self.byte(position.line, position.column.saturating_sub(1))
    }

    /// The byte of a place whose columns count characters from 0.
    fn of_compiler(&self, position: LineColumn) -> usize {
        self.byte(position.line, position.column)
    }

    fn byte(&self, line: usize, characters: usize) -> usize {
        let Some((begin, text)) = self.lines.get(line.saturating_sub(1)) else {
            return self
                .lines
                .last()
                .map_or(0, |(begin, text)| begin + text.len());
        };
        let within = text.char_indices().nth(characters);
        begin + within.map_or(text.len(), |(at, _)| at)
    }
}
