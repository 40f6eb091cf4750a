/* Maps memory itself, in all ways, and says what it holds. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static char *map(size_t pages) {
    return mmap(NULL, pages * PAGE, RW, ANON, -1, 0); /* the one way in */
}

static void partial(void) {
    char *all = map(10);                  /* 10 */
    munmap(all + 3 * PAGE, 2 * PAGE);     /* 8: from the middle */
    munmap(all, PAGE);                    /* 7: from the front */
    munmap(all + 9 * PAGE, PAGE);         /* 6: from the end */
    munmap(all + 9 * PAGE, PAGE);         /* 6: nothing is there */
    munmap(all + 1, PAGE);                /* 6: refused */
}

static void across(void) {
    char *room = mmap(NULL, 30 * PAGE, PROT_NONE, ANON, -1, 0); /* reserved: 0 */
    for (int i = 0; i < 3; i++)
        mmap(room + 10 * i * PAGE, 10 * PAGE, RW, ANON | MAP_FIXED, -1, 0); /* 30 */
    munmap(room + 5 * PAGE, 20 * PAGE);   /* 10: two halves are left */
}

static void fixed(void) {
    char *old = map(8);                                              /* 8 */
    mmap(old + 2 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0);     /* 8: in its place */
    int file = open("/proc/self/exe", O_RDONLY);
    mmap(old, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0);    /* 7: a file is none */
    mmap(NULL, 5 * PAGE, PROT_READ, MAP_PRIVATE, file, 0);           /* 7 */
    close(file);
}

static void moves(void) {
    char *block = map(4);                                            /* 4 */
    char *wall = mmap(block + 4 * PAGE, PAGE, PROT_NONE, ANON | MAP_FIXED_NOREPLACE, -1, 0);
    (void)wall;
    block = mremap(block, 4 * PAGE, 100 * PAGE, MREMAP_MAYMOVE);     /* 100 */
    block = mremap(block, 100 * PAGE, 20 * PAGE, 0);                 /* 20 */
    mremap(block, 20 * PAGE, 1UL << 60, MREMAP_MAYMOVE);             /* 20: refused */
}

static void reserves(void) {
    char *room = mmap(NULL, 1000 * PAGE, PROT_NONE, ANON, -1, 0);    /* 0 */
    mprotect(room, 50 * PAGE, RW);                                   /* 50 */
    mprotect(room, 10 * PAGE, PROT_READ);                            /* 50 */
    mprotect(room, 20 * PAGE, PROT_NONE);                            /* 30 */
}

static void breaks(void) {
    sbrk(3 * PAGE);                                                  /* 3 */
    sbrk(-PAGE);                                                     /* 2 */
    brk((char *)sbrk(0) + 2 * PAGE);                                 /* 4 */
}

static void *thread(void *unused) {
    (void)unused;
    return map(2);                                                   /* 2, its stack is none */
}

__attribute__((constructor)) static void early(void) {
    map(1);                                                          /* 1 */
}

int main(int argc, char **argv) {
    partial();
    across();
    fixed();
    moves();
    reserves();
    breaks();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, thread, NULL);             /* 8 */
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    if (argc > 1 && !strcmp(argv[1], "fork")) {
        pid_t child = fork();
        if (child == 0) {
            map(40);
            free(malloc(1 << 20));
            char *mine = map(60);
            munmap(mine, 60 * PAGE);
            exit(0);
        }
        waitpid(child, NULL, 0);
    }
    /* 1 + 6 + 10 + 7 + 20 + 30 + 4 + 8 */
    printf("%d\n", 86);
    return 0;
}
