#include "role/grant.h"

#include "base/mem.h"

#define IMAP_PORT 993
#define IMAP_LINE_MAX (64u << 10)

bool grant_read(struct grant *g, const struct frame *f, int64_t wait_ms,
		struct buf *why)
{
	uint64_t tls = frame_number(f, FIELD_TLS, TLS_IMPLICIT);

	*g = (struct grant){ .token = SECRET_NONE };
	g->trust = tls_client_get(frame_text(f, FIELD_CA), why);
	if (!g->trust)
		return false;
	g->host = span_dup(frame_text(f, FIELD_HOST));
	g->user = span_dup(frame_text(f, FIELD_USER));
	g->mechanisms = span_dup(frame_text(f, FIELD_MECHANISMS));
	secret_set(&g->token, frame_text(f, FIELD_TOKEN));
	g->generation = frame_number(f, FIELD_GENERATION, 0);
	g->imap = (struct imap_client_config){
		.host = g->host,
		.port = (uint16_t)frame_number(f, FIELD_PORT, IMAP_PORT),
		.tls = tls <= TLS_NONE ? (enum tls_mode)tls : TLS_IMPLICIT,
		.trust = g->trust,
		.user = g->user,
		.token = &g->token,
		.mechanisms = g->mechanisms,
		.connect_ms = wait_ms,
		.command_ms = wait_ms,
		.line = IMAP_LINE_MAX,
	};
	return true;
}

void grant_clear(struct grant *g)
{
	secret_clear(&g->token);
	tls_client_unref(&g->trust);
	mem_free(g->host);
	mem_free(g->user);
	mem_free(g->mechanisms);
	*g = (struct grant){ .token = SECRET_NONE };
}
