# Sample configuration and what systemd needs. Files that name folders are
# made from an .in file.
etc_edit = sed -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	-e 's|@sbindir[@]|$(sbindir)|g' \
	-e 's|@localstatedir[@]|$(localstatedir)|g' \
	-e 's|@runstatedir[@]|$(runstatedir)|g' \
	-e 's|@datadir[@]|$(datadir)|g'
ETC_MADE = etc/mailbearer.ini etc/systemd/mailbearer.service \
	etc/sysusers.d/mailbearer.conf etc/tmpfiles.d/mailbearer.conf

$(ETC_MADE): Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	$(etc_edit) $(top_srcdir)/$@.in > $@.tmp && mv $@.tmp $@
etc/mailbearer.ini: $(top_srcdir)/etc/mailbearer.ini.in
etc/systemd/mailbearer.service: $(top_srcdir)/etc/systemd/mailbearer.service.in
etc/sysusers.d/mailbearer.conf: $(top_srcdir)/etc/sysusers.d/mailbearer.conf.in
etc/tmpfiles.d/mailbearer.conf: $(top_srcdir)/etc/tmpfiles.d/mailbearer.conf.in

mbconfdir = $(sysconfdir)/mailbearer
ETC_OWN = etc/mailbearer.ini etc/accounts.yaml
EXTRA_DIST += etc/accounts.yaml
cataloguedir = $(datadir)/mailbearer
dist_catalogue_DATA = etc/providers.yaml
all-local: $(ETC_MADE)
unitdir = $(prefix)/lib/systemd/system
nodist_unit_DATA = etc/systemd/mailbearer.service
sysusersdir = $(prefix)/lib/sysusers.d
nodist_sysusers_DATA = etc/sysusers.d/mailbearer.conf
tmpfilesdir = $(prefix)/lib/tmpfiles.d
nodist_tmpfiles_DATA = etc/tmpfiles.d/mailbearer.conf
exampledir = $(docdir)/examples
dist_example_DATA = etc/systemd/mailbearer.socket
EXTRA_DIST += $(ETC_MADE:=.in)
CLEANFILES += $(ETC_MADE)

# A file that is there is the administrator's and stays, unless it is still as
# it was installed; beside it the new one gets the ending .dist. Hashes of
# passwords, in accounts.yaml, are for their owner.
install-data-local:
	$(MKDIR_P) "$(DESTDIR)$(mbconfdir)"
	for f in $(ETC_OWN); do \
		from=$$f; test -e $$from || from=$(srcdir)/$$f; \
		to="$(DESTDIR)$(mbconfdir)/$${f##*/}"; mode=644; \
		test $$f != etc/accounts.yaml || mode=600; \
		if test -e "$$to" && ! cmp -s $$from "$$to"; \
		then to="$$to.dist"; fi; \
		$(INSTALL) -m $$mode $$from "$$to" || exit 1; \
	done

uninstall-local:
	for f in $(ETC_OWN); do \
		from=$$f; test -e $$from || from=$(srcdir)/$$f; \
		to="$(DESTDIR)$(mbconfdir)/$${f##*/}"; \
		if cmp -s $$from "$$to"; then rm -f "$$to"; fi; \
		rm -f "$$to.dist"; \
	done
