EXTRA_DIST += \
	.ci/run \
	README.md \
	contrib/check \
	contrib/deps \
	contrib/quickstart \
	contrib/show.py
