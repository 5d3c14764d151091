use std::collections::BTreeSet;

use crate::mutant::{Genre, Mutant, Position, Span};
use crate::weave::weave;

/// Changes `what`, which is in `source` once, as cargo-mutants names the place.
fn mutant(source: &str, genre: Genre, what: &str, replacement: &str) -> Mutant {
    let at = |offset: usize| {
        let before = &source[..offset];
        let line = before.matches('\n').count() + 1;
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        Position {
            line,
            column: before[begin..].chars().count() + 1,
        }
    };
    let begin = source.find(what).expect("it is there");
    Mutant {
        file: "src/lib.rs".to_owned(),
        genre,
        name: format!("{what} -> {replacement}"),
        replacement: replacement.to_owned(),
        span: Span {
            start: at(begin),
            end: at(begin + what.len()),
        },
    }
}

/// The source with all changes, on one line.
fn woven(source: &str, mutants: &[Mutant]) -> String {
    let numbered: Vec<_> = (1..).zip(mutants).collect();
    let woven = weave(source, &numbered).expect("it is Rust");
    assert_eq!(woven.left_out, Vec::<u32>::new());
    syn::parse_file(&woven.text).expect("it is Rust still");
    let named: BTreeSet<u32> = woven.places.iter().map(|(_, number)| *number).collect();
    assert_eq!(named.len(), mutants.len());
    for (place, number) in &woven.places {
        assert!(woven.text[place.clone()].contains(&format!("is({number})")));
    }
    woven
        .text
        .replace("crate::woven::is", "is")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn an_operator_within_another_and_the_first_statement_of_a_function() {
    let source = "fn f(é: u8) -> bool { é * 2 == 4 }";
    let text = woven(
        source,
        &[
            mutant(source, Genre::FnValue, "é * 2 == 4", "true"),
            mutant(source, Genre::BinaryOperator, "==", "!="),
            mutant(source, Genre::BinaryOperator, "*", "+"),
            mutant(source, Genre::BinaryOperator, "*", "/"),
        ],
    );
    assert_eq!(
        text,
        "fn f(é: u8) -> bool { if is(1) { return true; } \
         (if is(2) { é * 2 != 4 } else { (if is(3) { é + 2 } else if is(4) { é / 2 } else { é * 2 }) == 4 }) }"
    );
}

#[test]
fn an_arm_its_condition_and_an_operator_in_it() {
    let source = "fn f(a: u8) -> u8 { match a { 0 => 1, n if n < 7 => n, _ => 9 } }";
    let text = woven(
        source,
        &[
            mutant(source, Genre::MatchArm, "0 => 1", ""),
            mutant(source, Genre::MatchArm, "n if n < 7 => n", ""),
            mutant(source, Genre::MatchArmGuard, "n < 7", "true"),
            mutant(source, Genre::BinaryOperator, "<", ">"),
        ],
    );
    assert_eq!(
        text,
        "fn f(a: u8) -> u8 { match a { 0 if !is(1) => 1, \
         n if !is(2) && ((if is(3) { true } else { (if is(4) { n > 7 } else { n < 7 }) })) => n, _ => 9 } }"
    );
}

#[test]
fn an_operator_that_is_left_out_and_a_field() {
    let source = "fn f(a: bool) -> S { S { a: !a, ..S::default() } }";
    let text = woven(
        source,
        &[
            mutant(source, Genre::StructField, "a: !a", ""),
            mutant(source, Genre::UnaryOperator, "!", ""),
        ],
    );
    assert_eq!(
        text,
        "fn f(a: bool) -> S { (if is(1) { S { ..S::default() } } \
         else { S { a: (if is(2) { a } else { !a }), ..S::default() } }) }"
    );
}

#[test]
fn constants_conditions_that_bind_and_secret_types_are_left_out() {
    let source = "const A: u8 = 1 + 2; fn g() -> impl Iterator<Item = u8> { h() } fn f(a: Option<u8>) -> bool { if let Some(b) = a && b == 1 { true } else { false } }";
    let mutants = [
        mutant(source, Genre::BinaryOperator, "+", "-"),
        mutant(source, Genre::BinaryOperator, "&&", "||"),
        mutant(source, Genre::BinaryOperator, "==", "!="),
        mutant(source, Genre::FnValue, "h()", "::std::iter::empty()"),
    ];
    let numbered: Vec<_> = (1..).zip(&mutants).collect();
    let woven = weave(source, &numbered).expect("it is Rust");
    assert_eq!(woven.left_out, [1, 2, 4]);
    assert_eq!(woven.unviable, Vec::<u32>::new());
    assert!(woven.text.contains("b != 1"), "{}", woven.text);
}

#[test]
fn an_arm_is_passed_over_where_another_takes_what_it_took() {
    let source = "fn f(a: Option<u8>) { match a { Some(1) => b(), None => c(), Some(d) => e(d) } \
                  match a { Some(2) => g(), (_) => h() } }";
    let mutants = [
        "Some(1) => b()",
        "None => c()",
        "Some(2) => g()",
        "(_) => h()",
    ]
    .map(|arm| mutant(source, Genre::MatchArm, arm, ""));
    let numbered: Vec<_> = (1..).zip(&mutants).collect();
    let woven = weave(source, &numbered).expect("it is Rust");
    assert_eq!(woven.unviable, [1, 2, 4]);
    assert!(
        woven
            .text
            .contains("Some(2) if !crate::woven::is(3) => g()"),
        "{}",
        woven.text
    );
}
