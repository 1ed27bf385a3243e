// What of libFuzzer is called: the program has a main of its own, which says what is to be tried.
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*user)(const uint8_t *data, size_t size));
