/*
 * Unpredictable bytes from the kernel, and the ids made of them. Session and
 * message ids are random so that they never leak a pointer or a count and
 * never repeat across restarts and nodes.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *p, size_t n);
/* Uniform in [0, below). */
uint32_t random_below(uint32_t below);

#define ID_SIZE 17
/* 64 random bits as 16 lower-case hex digits. */
void random_id(char out[ID_SIZE]);

/*
 * n letters and digits and a NUL, none that look alike (0 O, 1 l I):
 * passwords a person may have to type.
 */
void random_text(char *out, size_t n);

#endif
