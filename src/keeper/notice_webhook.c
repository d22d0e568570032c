/*
 * [notify] webhook: the notice as JSON, signed with the time so that what is
 * taken down cannot be shown again later (docs/PROTOCOL.md).
 */
#include "base/clock.h"
#include "keeper/keeper.h"
#include "keeper/notice.h"

#define FETCH_MS (30 * MSEC_PER_SEC)
#define BODY_MOST (64u << 10)

static const struct config_blob *key_blob(const struct keeper *k)
{
	const struct config_blob *b;
	char *name;

	if (!k->config->notify_webhook_secret_file)
		return NULL;
	name = mem_printf("file:%s", k->config->notify_webhook_secret_file);
	b = config_blobs_find(&k->blobs, name);
	mem_free(name);
	return b;
}

/* "Mailbearer-Signature: t=TIME,v1=HEX" */
static char *signature(const struct config_blob *key, struct span body)
{
	struct span secret = secret_span(&key->content);
	unsigned char digest[DIGEST_SIZE];
	struct buf text = BUF_INIT;
	int64_t now = clock_wall_s();

	/* the file may end with a newline; the key does not */
	while (secret.len && (secret.data[secret.len - 1] == '\n' ||
			      secret.data[secret.len - 1] == '\r'))
		secret.len--;
	buf_printf(&text, "%lld.", (long long)now);
	buf_add(&text, body);
	digest_hmac_sha256(secret, buf_span(&text), digest);
	buf_clear(&text);
	buf_printf(&text, "Mailbearer-Signature: t=%lld,v1=", (long long)now);
	for (size_t i = 0; i < sizeof(digest); i++)
		buf_printf(&text, "%02x", digest[i]);
	return buf_take(&text);
}

static void on_answer(void *arg, const struct fetch_response *r)
{
	struct notice_try *t = arg;
	char *why;

	if (r->status / 100 == 2) {
		notice_ended(t, NOTICE_SENT, NULL);
		return;
	}
	why = r->status ? mem_printf("the webhook answered with status %d",
				     r->status) :
			  mem_strdup(r->error);
	/* what it does not like now it will not like later */
	notice_ended(t, r->status / 100 == 4 && r->status != 429 &&
				r->status != 408 ?
				NOTICE_REFUSED :
				NOTICE_AGAIN,
		     why);
	mem_free(why);
}

void notice_webhook(struct notice_try *t, const struct json *said)
{
	const struct config_blob *key = key_blob(t->k);
	struct buf body = BUF_INIT;
	char *signed_by, *event;
	const char *headers[3] = { NULL, NULL, NULL };
	struct fetch_request r = { .url = t->k->config->notify_webhook,
				   .content_type = "application/json",
				   .headers = headers,
				   .may_be_plain = true,
				   .timeout_ms = FETCH_MS,
				   .max_body = BODY_MOST };

	json_dump(&body, said, JSON_LAYOUT_COMPACT);
	r.form = buf_span(&body);
	signed_by = key ? signature(key, r.form) : NULL;
	event = mem_printf("Mailbearer-Event: %.*s",
			   SPAN_FMT(json_get_text(said, "event")));
	headers[0] = event;
	headers[1] = signed_by;
	t->busy = true;
	t->fetch = fetch_start(t->k->fetcher, &r, on_answer, t);
	buf_clear(&body);
	mem_free(signed_by);
	mem_free(event);
}
