/* What a C library does beside Rust: each line's bytes are known. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static char *kept[100];
static void *odd[4];
static char *early;

/* Before main. */
__attribute__((constructor)) static void begin(void) {
    early = malloc(777);
}

void c_keep(void) {
    for (int i = 0; i < 100; i++)
        kept[i] = malloc(1000 + i); // keeps
    for (int i = 0; i < 50; i++)
        free(kept[i]); // frees
    kept[99] = realloc(kept[99], 5000); // grows
    odd[0] = calloc(10, 30); // zeroed
    if (posix_memalign(&odd[1], 64, 640)) abort(); // aligned
    odd[2] = strdup("nineteen characters"); // by the C library
    free(early); // early
}

char *c_take(size_t size) {
    return memset(malloc(size), 1, size); // for Rust
}

void c_take_back(char *block) {
    free(block); // back from Rust
}

/* Blocks that go from thread to thread. */
static char *passed[8];

static void *pass(void *own) {
    for (int i = 0; i < 20000; i++) {
        char *block = malloc(1 + i % 100); // passed on
        free(__atomic_exchange_n(&passed[i % 8], block, __ATOMIC_ACQ_REL)); // taken over
    }
    return own;
}

void c_threads(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        if (pthread_create(&threads[i], 0, pass, 0)) abort();
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], 0);
    for (int i = 0; i < 8; i++)
        free(passed[i]); // the rest
}
