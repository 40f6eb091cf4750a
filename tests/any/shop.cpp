// Orders in a map, a template in two instances, a list that is given back.
#include <map>
#include <memory>
#include <vector>

struct Order {
    std::vector<int> items;
};

static auto &orders = *new std::map<int, std::unique_ptr<Order>>;

template <class T>
std::vector<T> numbers(int n) {
    std::vector<T> list;
    list.reserve(n);
    for (int i = 0; i < n; i++) list.push_back(i);
    return list;
}

void add(int id) {
    auto order = std::make_unique<Order>();
    order->items = numbers<int>(1024);
    orders.emplace(id, std::move(order));
}

int main() {
    for (int id = 0; id < 256; id++) {
        add(id);
    }
    auto big = numbers<double>(131072);
    std::vector<double>().swap(big);
    return orders.size() != 256;
}
