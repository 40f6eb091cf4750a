/* Blocks of 1000 bytes, of which every sixteenth is kept, in a program that knows nothing of
   memprof. Prints what the system calls resident, in KiB. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 65536 };
static char *blocks[COUNT];

int main(void) {
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = malloc(1000);
        memset(blocks[i], 1, 1000);
    }
    for (int i = 0; i < COUNT; i++)
        if (i % 16)
            free(blocks[i]);
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    char line[256];
    while (file && fgets(line, sizeof line, file)) {
        long kilobytes;
        if (sscanf(line, "Rss: %ld", &kilobytes) == 1)
            printf("%ld\n", kilobytes);
    }
    return 0;
}
