/*
 * The unit rig: one program per room file, a table of tests, values printed
 * when they differ. A program's exit code is the number of failed tests, 255
 * at most.
 *
 *	UNIT_MAIN("span", { "cut", test_cut }, { "trim", test_trim })
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "base/span.h"

struct unit_test {
	const char *name;
	CU_TestFunc run;
};

static inline int unit_run(const char *suite_name,
			   const struct unit_test *tests, size_t n)
{
	CU_pSuite suite;
	unsigned failed;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 255;
	suite = CU_add_suite(suite_name, NULL, NULL);
	for (size_t i = 0; i < n; i++)
		CU_add_test(suite, tests[i].name, tests[i].run);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	failed = CU_get_number_of_tests_failed();
	if (CU_get_number_of_tests_run() != n)
		failed = 255;
	CU_cleanup_registry();
	return failed > 255 ? 255 : (int)failed;
}

#define UNIT_MAIN(suite, ...)                                           \
	int main(void)                                                  \
	{                                                               \
		static const struct unit_test tests[] = { __VA_ARGS__ };\
		return unit_run(suite, tests,                           \
				sizeof(tests) / sizeof(tests[0]));      \
	}

/* The stock macros do not show the values. */
static inline int unit_same(struct span got, struct span want, const char *file,
			    int line)
{
	if (span_equal(got, want))
		return 1;
	fprintf(stderr, "%s:%d: got \"%.*s\" (%zu), wanted \"%.*s\" (%zu)\n",
		file, line, SPAN_FMT(got), got.len, SPAN_FMT(want), want.len);
	return 0;
}

static inline int unit_same_int(long long got, long long want,
				const char *file, int line)
{
	if (got == want)
		return 1;
	fprintf(stderr, "%s:%d: got %lld, wanted %lld\n", file, line, got,
		want);
	return 0;
}

#define CHECK(cond) CU_ASSERT(cond)
#define CHECK_FATAL(cond) CU_ASSERT_FATAL(cond)
#define CHECK_SPAN(got, want) CU_ASSERT(unit_same(got, want, __FILE__, __LINE__))
#define CHECK_STR(got, want) CHECK_SPAN(span_str(got), span_str(want))
#define CHECK_INT(got, want) \
	CU_ASSERT(unit_same_int((long long)(got), (long long)(want), __FILE__, __LINE__))

#endif
