// 1,000 blocks of each of 40 sizes, on four threads; one of 77 bytes is left. Nothing else is allocated.
#include <pthread.h>
#include <stdlib.h>

static char *volatile left;

static void *work(void *unused) {
    for (int round = 0; round < 250; round++) {
        for (int size = 1; size <= 40; size++) {
            char *volatile block = malloc(size * 37);
            block[0] = 1;
            block = realloc(block, size * 41);
            block[size * 41 - 1] = 1;
            free(block);
        }
    }
    return unused;
}

int main(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, work, 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
    left = malloc(77);
    return 0;
}
