// An allocator to be preloaded, that says at the end how often it was called.
#include <stddef.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
static int calls;

void *malloc(size_t size) {
    calls++;
    return __libc_malloc(size);
}

__attribute__((destructor)) static void say(void) {
    write(1, calls > 0 ? "called\n" : "not called\n", calls > 0 ? 7 : 11);
}
