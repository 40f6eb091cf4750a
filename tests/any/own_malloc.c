// A program that brings its own malloc, and shows it to libraries.
#include <stddef.h>

static char room[1 << 20];
static size_t used;

void *malloc(size_t size) {
    void *block = room + used;
    used += (size + 15) & ~(size_t)15;
    return block;
}
void free(void *block) { (void)block; }
void *calloc(size_t count, size_t size) { return malloc(count * size); }
void *realloc(void *block, size_t size) { (void)block; return malloc(size); }

int main(void) { return malloc(100) == NULL; }
