/* A malloc that maps its memory by the mmap that programs call, as jemalloc does. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static char *chunk;
static size_t left;

static void *take(size_t align, size_t size) {
    pthread_mutex_lock(&one);
    if (left < size + align + 64) {
        left = size + align + (1 << 20);
        chunk = mmap(NULL, left, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    size_t at = ((size_t)chunk + 16 + align - 1) / align * align - (size_t)chunk;
    char *block = chunk + at;
    ((size_t *)block)[-1] = size;
    at = (at + size + 15) / 16 * 16;
    chunk += at;
    left -= at;
    pthread_mutex_unlock(&one);
    return block;
}

void *malloc(size_t size) { return take(16, size); }
void free(void *block) { (void)block; }
size_t malloc_usable_size(void *block) { return block ? ((size_t *)block)[-1] : 0; }
void *calloc(size_t count, size_t size) { return take(16, count * size); }
void *realloc(void *block, size_t size) {
    void *new = take(16, size);
    size_t old = malloc_usable_size(block);
    if (block)
        memcpy(new, block, old < size ? old : size);
    return new;
}
int posix_memalign(void **to, size_t align, size_t size) {
    *to = take(align, size);
    return 0;
}
void *aligned_alloc(size_t align, size_t size) { return take(align, size); }
void *memalign(size_t align, size_t size) { return take(align, size); }
