// Loads every library that it is given, on a second thread that runs already, and uses their
// thread-locals between allocations.
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

static sem_t loaded, used;
static int (*count)(void);

static void *use(void *unused) {
    for (;;) {
        sem_wait(&loaded);
        if (!count) return unused;
        free(malloc(100));
        if (count() != 1) abort();
        free(malloc(100));
        sem_post(&used);
    }
}

int main(int argc, char **argv) {
    pthread_t thread;
    sem_init(&loaded, 0, 0);
    sem_init(&used, 0, 0);
    pthread_create(&thread, 0, use, 0);
    for (int i = 1; i < argc; i++) {
        void *library = dlopen(argv[i], RTLD_NOW);
        if (!library) return fprintf(stderr, "%s\n", dlerror());
        count = (int (*)(void))dlsym(library, "count");
        sem_post(&loaded);
        sem_wait(&used);
    }
    count = NULL;
    sem_post(&loaded);
    pthread_join(thread, 0);
    printf("%d\n", argc - 1);
    return 0;
}
