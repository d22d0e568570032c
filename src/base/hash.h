/* uthash, which otherwise ends the program without a word when memory ends. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <uthash.h>

#include "base/mem.h"

#undef uthash_fatal
#define uthash_fatal(msg) mem_exhausted(msg)

#endif
