// Known numbers of each container of C++'s standard library, for `memprof types`. It prints what it
// holds at the end, type by type: bytes, blocks, and which.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

struct Order {
    long number;
    long amounts[4];
};

// Another of the same size: code for the one may be used for the other.
struct Invoice {
    long amounts[5];
};

static std::vector<Order> orders;
static std::vector<Invoice> invoices;
static std::vector<std::vector<short>> nested;
static std::vector<std::string> names;
static std::string text;
static std::map<int, Order> by_number;
static std::set<long> seen;
static std::list<Invoice> listed;
static std::deque<double> queue;
static std::unordered_map<int, long> counts;
static std::unique_ptr<Order> alone;
static std::shared_ptr<Invoice> shared;

static void holds(size_t bytes, size_t blocks, const char *name) {
    std::printf("%zu %zu %s\n", bytes, blocks, name);
}

__attribute__((noinline)) static void vectors(int many) {
    for (int i = 0; i < many; i++) {
        orders.push_back(Order{i, {}});
    }
    holds(orders.capacity() * sizeof(Order), 1, "std::vector<Order>");
    invoices.resize(many / 10);
    holds(invoices.capacity() * sizeof(Invoice), 1, "std::vector<Invoice>");
    nested.assign(many / 50, std::vector<short>(30));
    holds(nested.capacity() * sizeof(nested[0]), 1, "std::vector<std::vector<short>>");
    size_t inner = 0;
    for (auto &one : nested) {
        inner += one.capacity() * sizeof(short);
    }
    holds(inner, nested.size(), "std::vector<short>");
}

__attribute__((noinline)) static void texts(int many) {
    for (int i = 0; i < many; i++) {
        text += "a line of some length\n";
    }
    size_t bytes = text.capacity() + 1;
    names.reserve(many);
    for (int i = 0; i < many; i++) {
        names.push_back("a name that is longer than its object " + std::to_string(i));
        bytes += names.back().capacity() + 1;
    }
    holds(bytes, 1 + names.size(), "std::string");
    holds(names.capacity() * sizeof(std::string), 1, "std::vector<std::string>");
}

__attribute__((noinline)) static void nodes(int many) {
    for (int i = 0; i < many; i++) {
        by_number[i] = Order{i, {}};
        seen.insert(i);
        listed.push_back(Invoice{});
        counts[i] = i;
    }
    size_t of_map = sizeof(std::_Rb_tree_node<std::pair<const int, Order>>);
    holds(many * of_map, many, "std::map<int, Order>, node");
    holds(many * sizeof(std::_Rb_tree_node<long>), many, "std::set<long>, node");
    holds(many * sizeof(std::_List_node<Invoice>), many, "std::list<Invoice>, node");
    size_t of_table = sizeof(std::__detail::_Hash_node<std::pair<const int, long>, false>);
    size_t buckets = counts.bucket_count() * sizeof(void *);
    holds(many * of_table + buckets, many + 1, "std::unordered_map<int, long>");
}

__attribute__((noinline)) static void others(int many) {
    for (int i = 0; i < many; i++) {
        queue.push_back(i);
    }
    // Blocks of 64 elements, and the array of them that the object was made with.
    size_t blocks = many / 64 + 1;
    holds(blocks * 512 + 8 * 8, blocks + 1, "std::deque<double>");
    alone = std::make_unique<Order>();
    holds(sizeof(Order), 1, "std::unique_ptr<Order>");
    shared = std::make_shared<Invoice>();
    holds(16 + sizeof(Invoice), 1, "std::shared_ptr<Invoice>");
}

int main(int count, char **) {
    vectors(1000 * count);
    texts(50 * count);
    nodes(25 * count);
    others(200 * count);
    std::fflush(stdout);
    // What is held is not to be freed at the end.
    std::quick_exit(0);
}
