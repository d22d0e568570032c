/*
 * Compiler attributes used throughout.
 *
 * MB_MUSTCHECK marks a result of the world (see docs/STYLE.md): the caller
 * must look at it. Where it is missing, ignoring the result is right.
 */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#define MB_MUSTCHECK __attribute__((warn_unused_result))
#define MB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define MB_NORETURN __attribute__((noreturn))
#define MB_UNUSED __attribute__((unused))

/* States that ignoring a must-check result is right; say why beside it. */
#define MB_IGNORE(call) do { if (call) {} } while (0)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
