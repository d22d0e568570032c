# Sample configuration and what systemd needs. Files that name folders are
# made from an .in file.
etc_edit = sed -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	-e 's|@sbindir[@]|$(sbindir)|g' \
	-e 's|@localstatedir[@]|$(localstatedir)|g' \
	-e 's|@runstatedir[@]|$(runstatedir)|g'
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
nodist_mbconf_DATA = etc/mailbearer.ini
dist_mbconf_DATA = etc/accounts.yaml etc/providers.yaml
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

# Hashes of passwords are for their owner; an administrator's file stays.
install-data-hook:
	chmod 600 $(DESTDIR)$(mbconfdir)/accounts.yaml
