# mailbearerctl, the program, against a server that answers by script.
TESTS += tests/ctl/test_ctl.py tests/ctl/test_ctl_account.py
EXTRA_DIST += tests/ctl/test_ctl.py tests/ctl/test_ctl_account.py
