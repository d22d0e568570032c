/* Networks in CIDR notation, IPv4 and IPv6. */
#ifndef CONFIG_NETWORK_H
#define CONFIG_NETWORK_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/span.h"

struct network {
	unsigned char address[16]; /* IPv4 is kept as ::ffff:a.b.c.d */
	unsigned bits;             /* of the 128 */
};

/* "192.0.2.0/24", "2001:db8::/32", or one address. */
bool network_parse(struct span text, struct network *out) MB_MUSTCHECK;
/* Appends it in that form, which network_parse reads. */
void network_print(struct buf *out, const struct network *n);
bool network_has(const struct network *list, size_t n, const char *address);
bool address_is_loopback(const char *address);

#endif
