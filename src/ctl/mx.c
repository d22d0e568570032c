#include "ctl/mx.h"

#include <netinet/in.h>
#include <arpa/nameser.h>
#include <resolv.h>

#define ANSWER_MOST 16384

static void add_exchanger(struct buf *out, ns_msg *message, ns_rr *rr)
{
	char name[NS_MAXDNAME];

	if (ns_rr_type(*rr) != ns_t_mx || ns_rr_rdlen(*rr) < 3)
		return;
	if (ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message),
			       ns_rr_rdata(*rr) + 2, name, sizeof(name)) >= 0)
		buf_printf(out, "%s ", name);
}

bool mx_of(const char *domain, struct buf *out)
{
	unsigned char answer[ANSWER_MOST];
	size_t before = buf_len(out);
	int n = res_query(domain, ns_c_in, ns_t_mx, answer, sizeof(answer));
	ns_msg message;
	ns_rr rr;

	if (n < 0 || n > ANSWER_MOST || ns_initparse(answer, n, &message) < 0)
		return false;
	for (int i = 0; i < ns_msg_count(message, ns_s_an); i++)
		if (ns_parserr(&message, ns_s_an, i, &rr) == 0)
			add_exchanger(out, &message, &rr);
	return buf_len(out) > before;
}
