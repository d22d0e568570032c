#include "config/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define V4_PREFIX 12
static const unsigned char v4_mapped[16] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
};

/* Longest literal with a scope such as fe80::1%eth0. */
#define LITERAL_SIZE 64

/* Sets *width to the bits of the family: 32 or 128. */
static bool parse_address(struct span text, unsigned char out[16],
			  unsigned *width)
{
	struct span literal = span_cut(&text, '%');
	char s[LITERAL_SIZE];

	if (literal.len >= sizeof(s) || memchr(literal.data, 0, literal.len))
		return false;
	memcpy(s, literal.data, literal.len);
	s[literal.len] = '\0';
	memcpy(out, v4_mapped, V4_PREFIX);
	*width = 32;
	if (inet_pton(AF_INET, s, out + V4_PREFIX) == 1)
		return true;
	*width = 128;
	return inet_pton(AF_INET6, s, out) == 1;
}

static bool bit_is_set(const unsigned char a[16], unsigned i)
{
	return a[i / 8] >> (7 - i % 8) & 1;
}

static bool same_prefix(const unsigned char a[16], const unsigned char b[16],
			unsigned bits)
{
	for (unsigned i = 0; i < bits; i++)
		if (bit_is_set(a, i) != bit_is_set(b, i))
			return false;
	return true;
}

/* 192.0.2.7/24 is more likely a slip than a network: say so. */
static bool host_bits_are_zero(const struct network *n)
{
	for (unsigned i = n->bits; i < 128; i++)
		if (bit_is_set(n->address, i))
			return false;
	return true;
}

bool network_parse(struct span text, struct network *out)
{
	bool has_bits = memchr(text.data, '/', text.len) != NULL;
	struct span rest = text, host = span_cut(&rest, '/');
	unsigned width;
	uint64_t bits;

	if (memchr(host.data, '%', host.len) ||
	    !parse_address(host, out->address, &width))
		return false;
	bits = width;
	if (has_bits && !span_to_u64(rest, width, &bits))
		return false;
	out->bits = 128 - width + (unsigned)bits;
	return host_bits_are_zero(out);
}

void network_print(struct buf *out, const struct network *n)
{
	bool v4 = n->bits >= 96 &&
		  same_prefix(n->address, v4_mapped, 96);
	char text[INET6_ADDRSTRLEN] = "";

	if (v4)
		inet_ntop(AF_INET, n->address + V4_PREFIX, text, sizeof(text));
	else
		inet_ntop(AF_INET6, n->address, text, sizeof(text));
	buf_printf(out, "%s/%u", text, v4 ? n->bits - 96 : n->bits);
}

bool network_has(const struct network *list, size_t n, const char *address)
{
	unsigned char a[16];
	unsigned width;

	if (!parse_address(span_str(address), a, &width))
		return false;
	for (size_t i = 0; i < n; i++)
		if (same_prefix(list[i].address, a, list[i].bits))
			return true;
	return false;
}

bool address_is_loopback(const char *address)
{
	static const struct network loopback[] = {
		{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127 }, 104 },
		{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, 128 },
	};

	return network_has(loopback, ARRAY_SIZE(loopback), address);
}
