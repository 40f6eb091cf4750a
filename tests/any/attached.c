// Four threads that allocate, map and free until standard input ends. What was really done stands
// in the file that is named, in words of 64 bits: blocks and bytes allocated, bytes freed.
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t *ledger;
static int is_over;
static char *before;

static void note(int word, uint64_t by) { __atomic_fetch_add(&ledger[word], by, __ATOMIC_SEQ_CST); }

static char *take(size_t size) {
    note(0, 1), note(1, size);
    return memset(malloc(size), 1, size); // takes
}

static void give(char *block, size_t size) {
    free(block); // gives
    note(2, size);
}

static void *work(void *own) {
    for (unsigned i = 0; !__atomic_load_n(&is_over, __ATOMIC_SEQ_CST); i++) {
        size_t size = 100 + i % 1000;
        char *block = take(size);
        char *grown = realloc(block, size + 50);
        note(0, 0), note(1, size + 50), note(2, size);
        give(grown, size + 50);
        if (i % 100 == 0) {
            void *pages = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); // maps
            munmap(pages, 65536);
        }
    }
    return own;
}

int main(int argc, char **argv) {
    int file = open(argv[argc - 1], O_RDWR);
    ledger = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    before = take(3000000); // before
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, work, 0);
    char byte;
    while (read(0, &byte, 1) > 0) {}
    __atomic_store_n(&is_over, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
    give(before, 3000000);
    return write(1, "whole\n", 6) != 6;
}
