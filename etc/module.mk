# Sample configuration. What names folders is made from an .in file.
etc_edit = sed -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	-e 's|@sbindir[@]|$(sbindir)|g' -e 's|@bindir[@]|$(bindir)|g' \
	-e 's|@localstatedir[@]|$(localstatedir)|g' \
	-e 's|@runstatedir[@]|$(runstatedir)|g'
ETC_MADE = etc/mailbearer.ini

$(ETC_MADE): Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	$(etc_edit) $(top_srcdir)/$@.in > $@.tmp && mv $@.tmp $@
etc/mailbearer.ini: $(top_srcdir)/etc/mailbearer.ini.in

mbconfdir = $(sysconfdir)/mailbearer
nodist_mbconf_DATA = etc/mailbearer.ini
dist_mbconf_DATA = etc/accounts.yaml etc/providers.yaml
EXTRA_DIST += etc/mailbearer.ini.in
CLEANFILES += $(ETC_MADE)
dist_man_MANS += docs/accounts.yaml.5 docs/mailbearer.ini.5
