# The rules of the house, and that each of them bites.
TESTS += tests/lint/lint.py tests/lint/selftest.py
EXTRA_DIST += tests/lint/lint.py tests/lint/selftest.py
