// Every function of the family, also as it is used wrongly. Prints what came of each.
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile size_t huge = SIZE_MAX;

static void tell(const char *what, const void *block) {
    printf("%s: %s, errno %d\n", what, block ? "a block" : "null", errno);
    errno = 0;
}

int main(void) {
    void *block = NULL;
    tell("malloc of all", malloc(huge));
    tell("malloc of half", malloc(huge / 2));
    tell("calloc of too many", calloc(huge / 2, 3));
    tell("reallocarray of too many", reallocarray(NULL, huge / 2, 3));
    tell("realloc of all", realloc(NULL, huge));
    tell("aligned_alloc of all", aligned_alloc(64, huge - 64));
    printf("posix_memalign(3): %d, errno %d\n", posix_memalign(&block, 3, 100), errno);
    printf("posix_memalign(0): %d, errno %d\n", posix_memalign(&block, 0, 100), errno);
    printf("posix_memalign of all: %d, errno %d\n", posix_memalign(&block, 64, huge / 2), errno);
    errno = 0;

    char *nothing = malloc(0);
    tell("malloc(0)", nothing);
    free(nothing);
    char *kept = malloc(100);
    memset(kept, 7, 100);
    errno = 77;
    free(malloc(10));
    printf("free left errno %d\n", errno);
    errno = 0;
    void *failed = realloc(kept, huge);
    printf("realloc that failed: %s, byte %d\n", failed ? "a block" : "null", kept[99]);
    errno = 0;
    kept = realloc(kept, 300000);
    printf("realloc kept byte %d\n", kept[99]);
    printf("usable: %s\n", malloc_usable_size(kept) >= 300000 ? "enough" : "too little");
    memset(kept, 1, malloc_usable_size(kept));
    tell("realloc(p, 0)", realloc(kept, 0));

    int *zeros = calloc(1000, sizeof(int));
    int sum = 0;
    for (int i = 0; i < 1000; i++) sum |= zeros[i];
    printf("calloc: %d\n", sum);
    free(zeros);
    size_t aligns[] = { 8, 16, 64, 4096 };
    for (int i = 0; i < 4; i++) {
        if (posix_memalign(&block, aligns[i], 100) != 0) return 1;
        void *other = aligned_alloc(aligns[i], 100), *third = memalign(aligns[i], 100);
        uintptr_t bits = (uintptr_t)block | (uintptr_t)other | (uintptr_t)third;
        printf("aligned to %zu: %d\n", aligns[i], (bits & (aligns[i] - 1)) == 0);
        free(block);
        free(other);
        free(third);
    }
    void *page = valloc(10), *pages = pvalloc(5000);
    printf("paged: %d\n", (((uintptr_t)page | (uintptr_t)pages) & 4095) == 0);
    free(page);
    free(pages);
    free(NULL);
    for (int i = 0; i < 1000; i++) free(malloc(1000000 + i));
    return 0;
}
