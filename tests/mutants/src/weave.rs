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
        places: BTreeMap::new(),
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

/// Where a change may stand, by the place that cargo-mutants names.
#[derive(Debug)]
enum Place {
    /// Operator of this expression.
    Operator(Range<usize>),
    /// Condition of an arm.
    Guard,
    /// An arm: the end of its pattern, and its condition.
    Arm(usize, Option<Guarded>),
    /// A field of this expression, up to and with its comma.
    Field(Range<usize>, usize),
    /// First statement of a function.
    Body,
}

#[derive(Debug, Clone)]
struct Guarded {
    range: Range<usize>,
    /// The condition binds names: nothing but `&&` may stand before it.
    binds: bool,
}

struct Found<'a> {
    lines: &'a Lines,
    /// How many expressions around this one are computed while the program is compiled.
    constant: usize,
    /// By where the place begins. An operator, an arm, and the first statement of a function never
    /// begin at one place.
    places: BTreeMap<(usize, Kind), Place>,
    /// Where the arms begin that cannot be passed over.
    needed: BTreeSet<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Operator,
    Guard,
    Arm,
    Field,
    Body,
}

impl Found<'_> {
    /// Which text `mutant` changes, and into what; `None` where the program cannot ask.
    fn change(
        &self,
        source: &str,
        mutant: &Mutant,
        span: &Range<usize>,
    ) -> Option<(Range<usize>, Order, Change)> {
        let place = |kind| self.places.get(&(span.start, kind));
        match mutant.genre {
            Genre::BinaryOperator | Genre::UnaryOperator => {
                let Place::Operator(whole) = place(Kind::Operator)? else {
                    return None;
                };
                let text = format!(
                    "{}{}{}",
                    &source[whole.start..span.start],
                    mutant.replacement,
                    &source[span.end..whole.end]
                );
                Some((whole.clone(), Order::Expression, Change::Whole(text)))
            }
            Genre::MatchArmGuard => {
                place(Kind::Guard)?;
                let text = mutant.replacement.clone();
                Some((span.clone(), Order::Condition, Change::Whole(text)))
            }
            Genre::MatchArm => match place(Kind::Arm)? {
                Place::Arm(_, Some(guard)) if guard.binds => None,
                Place::Arm(_, Some(guard)) => {
                    Some((guard.range.clone(), Order::Arm, Change::PassOverUnless))
                }
                Place::Arm(end, None) => Some((*end..*end, Order::Arm, Change::PassOver)),
                _ => None,
            },
            Genre::StructField => {
                let Place::Field(whole, end) = place(Kind::Field)? else {
                    return None;
                };
                let text = format!(
                    "{}{}",
                    &source[whole.start..span.start],
                    &source[*end..whole.end]
                );
                Some((whole.clone(), Order::Expression, Change::Whole(text)))
            }
            Genre::FnValue => {
                place(Kind::Body)?;
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

    fn add(&mut self, at: usize, kind: Kind, place: Place) {
        if self.constant == 0 {
            self.places.insert((at, kind), place);
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
        {
            let at = self.range(first).start;
            self.add(at, Kind::Body, Place::Body);
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
            let at = self.range(&expression.op).start;
            let whole = self.range(expression);
            self.add(at, Kind::Operator, Place::Operator(whole));
        }
        visit::visit_expr_binary(self, expression);
    }

    fn visit_expr_unary(&mut self, expression: &'ast syn::ExprUnary) {
        let at = self.range(&expression.op).start;
        let whole = self.range(expression);
        self.add(at, Kind::Operator, Place::Operator(whole));
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
            self.add(at, Kind::Field, Place::Field(whole.clone(), end));
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
        let guard = arm.guard.as_ref().map(|(_, condition)| Guarded {
            range: self.range(&**condition),
            binds: binds(condition),
        });
        if let Some(guard) = &guard
            && !guard.binds
        {
            self.add(guard.range.start, Kind::Guard, Place::Guard);
        }
        let pattern = self.range(&arm.pat);
        if !self.needed.contains(&pattern.start) {
            self.add(pattern.start, Kind::Arm, Place::Arm(pattern.end, guard));
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
