//! Functions of C and C++, as they are written and as they are found.

use super::*;

fn shown(text: &str) -> Vec<String> {
    let items = functions(text);
    let show = |item: &Item| format!("{} {}-{}", item.path, item.first_line, item.last_line);
    items.iter().map(show).collect()
}

#[test]
fn functions_of_c() {
    let text = "\
#include <stdlib.h>
#define TWICE(x) do { \\
    x; x; } while (0)
struct point { int x; };
static const int table[] = { 1, 2 };
static int
add(int a, int b)
{
    if (a) { return b; } /* } */
    return \"}\"[0] + '}';
}
struct point *make(void) { return calloc(1, sizeof(struct point)); }
int declared(int);
__attribute__((noinline)) void work(void) __attribute__((cold));
__attribute__((noinline)) void work(void) {
#ifdef BIG
    if (1) {
#else
    if (0) {
#endif
    }
}
API(int) exported(void) { return 1'000; }
";
    assert_eq!(
        shown(text),
        ["add 6-11", "make 12-12", "work 15-22", "exported 23-23"]
    );
}

#[test]
fn functions_of_cpp() {
    let text = "\
namespace shop::v2 {
class Cart final : public Base<int> {
public:
    Cart(int n) : items{n}, size(n) { fill(); }
    ~Cart() { for (auto &i : items) { drop(i); } }
    int operator()(int x) const { return x; }
    bool operator==(const Cart &other) const = default;
    std::vector<int> items;
};
template <class T>
T Box<T>::get(std::function<int(int)> f) noexcept(true) {
    auto g = [&](int x) { return f(x); };
    return T{g(1)};
}
}
extern \"C\" {
int main(int argc, char **argv) {
    const char *raw = R\"x({ )\" )x\";
    return 0;
}
}
std::ostream &operator<<(std::ostream &out, const Cart &) { return out; }
auto global = [](int x) { return x; };
";
    let expected = [
        "shop::v2::Cart::Cart 4-4",
        "shop::v2::Cart::~Cart 5-5",
        "shop::v2::Cart::operator() 6-6",
        "shop::v2::Box::get 11-14",
        "main 17-20",
        "operator<< 22-22",
    ];
    assert_eq!(shown(text), expected);
}

#[test]
fn what_does_not_match_ends_with_the_file() {
    assert_eq!(shown("int main(void) {\n if (1) {\n"), ["main 1-2"]);
    assert_eq!(shown("}}}} int f(void) { }"), ["f 1-1"]);
    for text in [
        "",
        "#",
        "#if",
        "R\"",
        "\"",
        "'",
        "/*",
        "//",
        "operator",
        "operator(",
        "a(",
        "f(){",
        "~(",
        "<>::(",
    ] {
        shown(text);
    }
}
