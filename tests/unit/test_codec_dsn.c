#include "unit.h"

#include "codec/dsn.h"

static void test_failed(void)
{
	struct dsn_recipient r = { "bob@example.test", DSN_FAILED, "5.1.1",
				   550, "No such\r\nuser" };
	struct dsn d = { "mail.example.test", "demo@example.test",
			 "me@example.test", "id1", "Fri, 20 Nov 2026",
			 "Thu, 19 Nov 2026", "0123", "bound", &r, 1 };
	struct buf out = BUF_INIT;

	dsn_build(&out, &d);
	CHECK_STR(buf_cstr(&out),
		  "From: \"Mail delivery\" <demo@example.test>\r\n"
		  "To: <me@example.test>\r\n"
		  "Date: Fri, 20 Nov 2026\r\n"
		  "Message-ID: <id1@mail.example.test>\r\n"
		  "Subject: Your message was not delivered\r\n"
		  "Auto-Submitted: auto-replied\r\n"
		  "MIME-Version: 1.0\r\n"
		  "Content-Type: multipart/report; "
		  "report-type=delivery-status;\r\n\tboundary=\"bound\"\r\n"
		  "\r\n--bound\r\n"
		  "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
		  "Your message could not be delivered to the following\r\n"
		  "recipients, and will not be tried again:\r\n\r\n"
		  "    bob@example.test\r\n"
		  "        the mail provider said: 550 5.1.1 No such  user\r\n"
		  "\r\nThe message was sent on Thu, 19 Nov 2026\r\n"
		  "and has the number 0123 here.\r\n\r\n"
		  "--bound\r\nContent-Type: message/delivery-status\r\n\r\n"
		  "Reporting-MTA: dns; mail.example.test\r\n"
		  "Arrival-Date: Thu, 19 Nov 2026\r\n\r\n"
		  "Final-Recipient: rfc822; bob@example.test\r\n"
		  "Action: failed\r\nStatus: 5.1.1\r\n"
		  "Diagnostic-Code: smtp; 550 5.1.1 No such  user\r\n"
		  "\r\n--bound--\r\n");
	buf_clear(&out);
}

static void test_without_status(void)
{
	struct dsn_recipient r = { "b@x", DSN_DELAYED, "", 0, "waits" };
	struct dsn d = { "h", "f@x", "t@x", "i", "d", "a", "q", "b", &r, 1 };
	struct buf out = BUF_INIT;

	dsn_build(&out, &d);
	CHECK(strstr(buf_cstr(&out), "still on its way") != NULL);
	CHECK(strstr(buf_cstr(&out), "Action: delayed\r\nStatus: 4.0.0") !=
	      NULL);
	CHECK(strstr(buf_cstr(&out), "Diagnostic-Code") == NULL);
	buf_clear(&out);
}

UNIT_MAIN("dsn", { "failed", test_failed },
	  { "without status", test_without_status })
