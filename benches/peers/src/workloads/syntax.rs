//! What a compiler does: a small language is read into boxed trees, names are interned, constants
//! folded, and the result is lowered into an arena.

use std::collections::HashMap;

use super::{Random, on_threads};

/// Functions of one source text.
const FUNCTIONS: usize = 60;
/// Depth of the expressions.
const DEPTH: usize = 6;

pub fn run(amount: usize, threads: usize) -> u64 {
    on_threads(amount, threads, |number, amount| {
        let mut random = Random::new(number as u64 + 1);
        (0..amount).map(|_| compile(&mut random)).sum()
    })
}

fn compile(random: &mut Random) -> u64 {
    let mut text = String::new();
    (0..FUNCTIONS).for_each(|_| write_expression(random, DEPTH, &mut text));
    let mut names = Names::default();
    let tokens = tokens(&text, &mut names);
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
    };
    let trees: Vec<_> = (0..FUNCTIONS).map(|_| fold(parser.expression())).collect();
    let mut arena = Arena::default();
    for tree in &trees {
        arena.lower(tree);
    }
    arena.nodes.len() as u64 + names.texts.len() as u64
}

/// Writes `( a op b )`, to the depth asked for.
fn write_expression(random: &mut Random, depth: usize, text: &mut String) {
    if depth == 0 || random.below(8) == 0 {
        match random.below(2) {
            0 => text.push_str(&random.below(1000).to_string()),
            _ => text.push_str(&format!("name_{}", random.below(200))),
        }
    } else {
        text.push_str("( ");
        write_expression(random, depth - 1, text);
        text.push_str([" + ", " * ", " - "][random.below(3)]);
        write_expression(random, depth - 1, text);
        text.push_str(" )");
    }
    text.push(' ');
}

#[derive(Default)]
struct Names {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
}

impl Names {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.texts.len() as u32;
        self.numbers.insert(text.to_owned(), number);
        self.texts.push(text.to_owned());
        number
    }
}

#[derive(Clone, Debug)]
enum Token {
    Open,
    Close,
    Operator(char),
    Number(i64),
    Name(u32),
}

fn tokens(text: &str, names: &mut Names) -> Vec<Token> {
    text.split_ascii_whitespace()
        .map(|word| match word {
            "(" => Token::Open,
            ")" => Token::Close,
            "+" | "*" | "-" => Token::Operator(word.chars().next().unwrap_or(' ')),
            _ => match word.parse() {
                Ok(number) => Token::Number(number),
                Err(_) => Token::Name(names.number(word)),
            },
        })
        .collect()
}

enum Tree {
    Number(i64),
    Name(u32),
    Binary(Box<Tree>, char, Box<Tree>),
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Token {
        self.at += 1;
        self.tokens[self.at - 1].clone()
    }

    fn expression(&mut self) -> Box<Tree> {
        Box::new(match self.next() {
            Token::Number(number) => Tree::Number(number),
            Token::Name(name) => Tree::Name(name),
            Token::Open => {
                let left = self.expression();
                let Token::Operator(operator) = self.next() else {
                    panic!("an operator stands between two expressions");
                };
                let right = self.expression();
                self.next();
                Tree::Binary(left, operator, right)
            }
            other => panic!("no expression begins with {other:?}"),
        })
    }
}

fn fold(tree: Box<Tree>) -> Box<Tree> {
    let Tree::Binary(left, operator, right) = *tree else {
        return tree;
    };
    let (left, right) = (fold(left), fold(right));
    if let (Tree::Number(left), Tree::Number(right)) = (&*left, &*right) {
        return Box::new(Tree::Number(match operator {
            '+' => left.wrapping_add(*right),
            '*' => left.wrapping_mul(*right),
            _ => left.wrapping_sub(*right),
        }));
    }
    Box::new(Tree::Binary(left, operator, right))
}

#[derive(Default)]
struct Arena {
    nodes: Vec<Node>,
}

#[expect(dead_code, reason = "written as a compiler would, and not read back")]
enum Node {
    Number(i64),
    Name(u32),
    Binary(u32, char, u32),
}

impl Arena {
    fn lower(&mut self, tree: &Tree) -> u32 {
        let node = match tree {
            Tree::Number(number) => Node::Number(*number),
            Tree::Name(name) => Node::Name(*name),
            Tree::Binary(left, operator, right) => {
                Node::Binary(self.lower(left), *operator, self.lower(right))
            }
        };
        self.nodes.push(node);
        self.nodes.len() as u32 - 1
    }
}
