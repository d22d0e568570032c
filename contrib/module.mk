EXTRA_DIST += \
	.ci/run \
	README.md \
	contrib/check \
	contrib/common.sh \
	contrib/deps \
	contrib/quickstart \
	contrib/show.py
