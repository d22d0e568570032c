/* systemd's notification protocol, sd_notify(3), by hand. */
#ifndef SUPERVISOR_NOTIFY_H
#define SUPERVISOR_NOTIFY_H

/* Takes NOTIFY_SOCKET out of the environment: roles have no use for it. */
void notify_init(void);
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

#endif
