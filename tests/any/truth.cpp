// The cases of `examples/` in C++, one for each name: where other line profilers fail.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <pthread.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

static const size_t KIB = 1024, MIB = 1024 * KIB;

// The compiler is to leave no block out.
static void use(const void *block) { asm volatile("" : : "r"(block) : "memory"); }

using List = std::vector<int64_t>;

static List random_list(size_t len) {
    List list(len); // within random_list
    uint64_t state = 88172645463325252u;
    for (auto &number : list) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        number = state % 1000 + 1;
    }
    return list;
}

static List sums(const List &left, const List &right) {
    List list(left.size());
    for (size_t i = 0; i < list.size(); i++) list[i] = left[i] + right[i];
    return list;
}

static void lists() {
    List arr1 = random_list(100000); // takes arr1
    List arr2 = random_list(100000); // takes arr2
    List arr3 = sums(arr1, arr2);    // takes arr3
    List().swap(arr1);               // drops arr1
    List().swap(arr2);               // drops arr2
    int64_t total = 0;
    for (auto number : arr3) total += number; // adds up
    List().swap(arr3);                        // drops arr3
    printf("%ld\n", (long)total);
}

static void give_back_in_a_loop() {
    std::unique_ptr<char[]> x(new char[90 * MIB]); // takes x
    use(x.get());
    for (int i = 0; i < 10; i++) {
        int a = 1; // sets a
        int b = 2; // sets b
        x.reset(); // gives x back
        use(&a), use(&b), use(x.get()); // uses a, b and x
    }
}

static void take_and_give() {
    for (int i = 0; i < 5; i++) {
        char *block = new char[50 * MIB]; // takes 50 MiB
        use(block);
        delete[] block; // gives 50 MiB
    }
}

static pthread_barrier_t all_hold;

static void hold_30_mib() {
    char *block = new char[30 * MIB]; // takes 30 MiB
    use(block);
    pthread_barrier_wait(&all_hold);
    delete[] block; // gives 30 MiB
}

static void start_and_wait() {
    pthread_barrier_init(&all_hold, nullptr, 3);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++) threads.emplace_back(hold_30_mib);
    for (auto &thread : threads) thread.join(); // joins
}

static void descend(int levels) {
    char *block = new char[KIB]; // takes a level
    use(block);
    if (levels > 1)
        descend(levels - 1); // goes deeper
    delete[] block; // gives a level
}

static void churn() {
    for (int i = 0; i < 12000; i++) {
        char *buffer = new char[500000]; // takes a buffer
        use(buffer);
        delete[] buffer; // gives a buffer
    }
}

static void load() {
    char *table = new char[64 * MIB]; // takes a table
    use(table);
    delete[] table;
}

static void serve() {
    for (int i = 0; i < 1000; i++) {
        char *session = new char[10000]; // takes a session
        use(session);
    }
}

static std::vector<std::unique_ptr<char[]>> fill() {
    std::vector<std::unique_ptr<char[]>> blocks;
    blocks.reserve(80);
    for (int i = 0; i < 80; i++) {
        blocks.emplace_back(new char[256 * KIB]); // takes a block
        use(blocks.back().get());
    }
    blocks.resize(40); // gives 40 blocks
    return blocks;
}

static void killed() {
    auto blocks = fill();
    puts("ready");
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) > 0) {}
    use(&blocks);
}

static void push() {
    std::vector<uint64_t> numbers;
    for (uint64_t number = 0; number < 100000; number++)
        numbers.push_back(number); // pushes
    use(numbers.data());
    std::vector<uint64_t>().swap(numbers); // drops numbers
}

int main(int, char **arguments) {
    std::string name = arguments[1];
    if (name == "lists") lists();
    if (name == "loop_none") give_back_in_a_loop();
    if (name == "take_and_give") take_and_give();
    if (name == "threads") start_and_wait();
    if (name == "recursion") descend(10000);
    if (name == "transient") churn();
    if (name == "leak") load(), serve();
    if (name == "killed") killed();
    if (name == "push") push();
}
