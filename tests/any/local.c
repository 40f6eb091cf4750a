// A library with a thread-local.
__thread int counter[100];

int count(void) { return ++counter[7]; }
