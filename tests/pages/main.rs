//! The pages in a real browser: what a person sees and does, with a keyboard alone, in both
//! languages, and what axe-core and the console say to it.

mod bed;
mod history;
mod looks;
mod screen;
mod sign_in;
mod why;
