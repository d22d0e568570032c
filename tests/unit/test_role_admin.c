#include "net_rig.h"
#include "role/admin.h"

static struct admin_replies replies;
static size_t length;
static bool replied;
static int status;
static struct buf body;

static void run(const struct admin_request *q)
{
	char *text = malloc(length + 1);
	struct json *j = json_new_object();

	memset(text, 'x', length);
	json_put_text(j, "text", span_of(text, length));
	free(text);
	admin_json(q->reply, j);
}

static void on_request(void *owner, struct channel *ch, const struct frame *f,
		       const int *fds)
{
	static const struct admin_row rows[] = { { "GET", "/v1/long", run } };

	(void)fds;
	admin_dispatch(&replies, rows, 1, owner, ch, f);
}

static void on_reply(void *arg, const struct frame *f)
{
	(void)arg;
	replied = true;
	buf_clear(&body);
	status = f ? (int)frame_number(f, FIELD_CODE, 0) : 0;
	if (f)
		buf_add(&body, frame_text(f, FIELD_BODY));
}

static void ask(struct channel *desk)
{
	struct buf out = BUF_INIT;
	struct frame_mark m = frame_begin(&out, FRAME_ADMIN,
					  channel_next_id(desk), 0);

	frame_put_str(&out, FIELD_METHOD, "GET");
	frame_put_str(&out, FIELD_PATH, "/v1/long");
	frame_end(&out, m);
	replied = false;
	channel_request(desk, &out, NULL, 0, RIG_PATIENCE_MS, on_reply, desk);
	UNTIL(replied);
}

/* An account list of thousands must not end the role that makes it. */
static void test_too_long(void)
{
	static const struct channel_ops ops = { .frame = on_request };
	struct channel *role, *desk;
	int fds[2];

	rig_begin();
	LIST_INIT(&replies);
	role = channel_new(rig_loop, "desk", &ops, NULL);
	desk = channel_new(rig_loop, "keeper", &ops, NULL);
	channel_pair(fds);
	channel_attach(role, fds[0]);
	channel_attach(desk, fds[1]);
	length = 7u << 20;
	ask(desk);
	CHECK_INT(status, 200);
	CHECK_INT(buf_len(&body), length + 11);
	length = CHANNEL_FRAME_MAX;
	ask(desk);
	CHECK_INT(status, 500);
	CHECK_SPAN(buf_span(&body), SPAN("{\"error\":\"the answer is too long; "
					 "ask for less\"}"));
	buf_clear(&body);
	channel_free(&role);
	channel_free(&desk);
	rig_end();
}

static void test_number(void)
{
	const struct admin_request q = {
		.query = SPAN("a=7&b=-1&c=&d=9223372036854775807&e=%37&a=8")
	};

	CHECK_INT(admin_number(&q, "a", 5), 7);
	CHECK_INT(admin_number(&q, "b", 5), 5);
	CHECK_INT(admin_number(&q, "c", 5), 5);
	CHECK(admin_number(&q, "d", 5) == INT64_MAX);
	CHECK_INT(admin_number(&q, "e", 5), 7);
	CHECK_INT(admin_number(&q, "f", 5), 5);
}

/* With the most recipients a message has, and with none. */
static void test_page(void)
{
	struct admin_page page = ADMIN_PAGE;
	size_t recipients = 0;

	for (int i = 0; i < 1000; i++)
		admin_page_add(&page, 0);
	CHECK(admin_page_has_room(&page));
	while (admin_page_has_room(&page)) {
		admin_page_add(&page, 10000);
		recipients += 10000;
	}
	CHECK(recipients >= 10000 && recipients * 323 < CHANNEL_FRAME_MAX);
}

UNIT_MAIN("role_admin", { "too long", test_too_long },
	  { "number", test_number }, { "page", test_page })
